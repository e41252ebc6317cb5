"""Errors of Meta checkpoints: files that are missing, unsafe, or do not fit together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nlp_pipeline.errors.base import listing
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.generation import CheckpointUnreadable, ModelError
from nlp_pipeline.errors.packages import pip_install


class NoShards(CheckpointUnreadable):
    """A folder with a `params.json` and no weights beside it."""

    def __init__(self, folder: str) -> None:
        super().__init__(
            folder, "it has a params.json (Meta), but no weights (consolidated.00.pth) beside it"
        )


class ShardMissing(CheckpointUnreadable):
    """A checkpoint of several files of which at least one is not there."""

    def __init__(self, folder: str, missing: Iterable[str], present: Iterable[str]) -> None:
        super().__init__(
            folder, f"{listing(missing)} is missing; there is: {listing(present)}. Fetch it again"
        )


class ShardUnreadable(CheckpointUnreadable):
    """One of the files of a checkpoint is damaged or is something else."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(file, f"it cannot be read as tensors ({reason}). Fetch it again")


class UnsafeShard(CheckpointUnreadable):
    """A weight file that asks for code to be run while it is read."""

    def __init__(self, file: str, asked_for: str) -> None:
        super().__init__(
            file,
            f"reading it would run code ({asked_for}), and weights are only ever read. Get the "
            "model from its publisher, or as safetensors",
        )


class ShardsDisagree(CheckpointUnreadable):
    """Tensors whose parts do not fit together, or do not fit the rest of the checkpoint."""

    def __init__(self, folder: str, tensor: str, fault: str) -> None:
        super().__init__(
            folder,
            f"its files do not fit together: '{tensor}' is {fault}. A file is missing or belongs "
            "to another checkpoint",
        )


class TensorsUnknown(CheckpointUnreadable):
    """Weights that are not those of the configuration beside them."""

    def __init__(
        self,
        path: str,
        missing: Sequence[str],
        unknown: Sequence[str],
        shapes: Sequence[str] = (),
    ) -> None:
        parts = [f"it has no {listing(missing, 3)}"] if missing else []
        parts += [f"it has the unknown {listing(unknown, 3)}"] if unknown else []
        parts += [f"it has other sizes than its config.json says: {listing(shapes, 3)}"] * bool(
            shapes
        )
        super().__init__(path, f"its weights are not those of its model: {', and '.join(parts)}")


class TiedHeadDiffers(CheckpointUnreadable):
    """A head of its own in a model whose head is said to be the embedding."""

    def __init__(self, path: str) -> None:
        super().__init__(
            path,
            "its config.json ties the head to the embedding (tie_word_embeddings), and its weights "
            "hold another lm_head.weight. Set tie_word_embeddings to false there if the head is "
            "meant to count",
        )


class GgufImplausible(CheckpointUnreadable):
    """A GGUF file that claims more than it can hold."""

    def __init__(self, path: str, claimed: str, size: int) -> None:
        super().__init__(
            path,
            f"its header claims {escaped(claimed)}, for which its {size} bytes have no room. It is "
            "damaged or made up: fetch it again",
        )


class SizesImplausible(CheckpointUnreadable):
    """A configuration that asks for more than the weights beside it can be."""

    def __init__(self, path: str, claimed: str, available: str) -> None:
        super().__init__(
            path,
            f"its configuration asks for {claimed}, and its weights are {available}. Fetch it "
            "again",
        )


class ParamsUnreadable(CheckpointUnreadable):
    """A `params.json` that is missing or cannot be used."""

    def __init__(self, folder: str, reason: str) -> None:
        super().__init__(folder, f"its params.json {reason}")


class ParamsDisagree(CheckpointUnreadable):
    """A `params.json` that says something else than the weights beside it."""

    def __init__(self, folder: str, claimed: str, actual: str) -> None:
        super().__init__(
            folder,
            f"its params.json and its weights disagree: params.json says {claimed}, the weights "
            f"say {actual}. One of the two belongs to another checkpoint",
        )


class MetaTokenizerMissing(CheckpointUnreadable):
    """A Meta checkpoint without its `tokenizer.model`."""

    def __init__(self, folder: str) -> None:
        super().__init__(
            folder,
            "it has no tokenizer.model. Copy it there (Meta's downloads keep it one folder up), "
            "or give tokenizer= another folder or that file",
        )


class MetaTokenizerUnreadable(CheckpointUnreadable):
    """A `tokenizer.model` that is neither of the two formats, or cannot be used exactly."""

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(
            file, f"it is no tokenizer of a Llama ({reason}); tokenizer= can name another"
        )


class VocabularyDisagrees(CheckpointUnreadable):
    """A tokenizer that was made for another model."""

    def __init__(self, path: str, tokenizer: int, model: int) -> None:
        super().__init__(
            path,
            f"its tokenizer has {tokenizer} tokens and its weights have {model}: they do not "
            "belong together. Name the right one with tokenizer=",
        )


class PackageMissing(ModelError):
    """Something that needs a package which is not installed, or which does not work here."""

    def __init__(self, purpose: str, package: str, extra: str, reason: str = "") -> None:
        because = f" ({reason})" if reason else ""
        super().__init__(
            f"{purpose} needs the package {package}, which cannot be imported{because}. Type "
            f"`{pip_install(extra)}`."
        )
