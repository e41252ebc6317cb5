"""Whether the weights of a checkpoint are those of its configuration.

transformers fills what is missing with random numbers and drops what it does not know, with a
warning at most; such a model answers like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.generation import CheckpointUnreadable
from nlp_pipeline.errors.meta import SizesImplausible, TensorsUnknown, TiedHeadDiffers
from nlp_pipeline.generation.loading.model_view import read_index, weight_files
from nlp_pipeline.generation.meta.shards import read_shard

WEIGHTS_PER_BYTE = 8
"""No format packs them closer."""

HARMLESS_LAYERS, HARMLESS_WEIGHTS = 500, 2**28
"""So many may be built of anything: what is wrong is then told by the tensors' names."""

HEAD, EMBEDDING = "lm_head.weight", "embed_tokens.weight"
COMPUTED = ("rotary_emb.inv_freq", "rope.freqs")
"""Ends of the names of tensors that are computed, and that old checkpoints hold all the same."""


def check_loaded(
    name: str, model: Any, info: Mapping[str, Any], *, part_of_larger: bool = False
) -> None:
    """Compares what a model has with what was there, after transformers has loaded it.

    Args:
        name: The model's name, for messages.
        model: As loaded.
        info: What `from_pretrained(output_loading_info=True)` says.
        part_of_larger: Whether it is the language model of a larger one, such as one that sees
            images: the weights of the rest are not unknown.

    Raises:
        TensorsUnknown: Tensors are missing, unknown or of another shape.
    """
    missing = set(info["missing_keys"])
    if not hasattr(model, "hf_device_map"):  # there weights may stay outside of the model
        missing |= {key for key, weight in model.named_parameters() if weight.is_meta}
    unknown = drop_computed(info["unexpected_keys"])
    if part_of_larger:
        own = {key.split(".")[0] for key in model.state_dict()}
        unknown = [key for key in unknown if key.split(".")[0] in own]
    # Names in transformers 4, tuples of a name and two shapes in 5.
    odd = {key if isinstance(key, str) else key[0] for key in info["mismatched_keys"]}
    expected = model.state_dict()
    shapes = [f"{key} is not {tuple(expected[key].shape)}" for key in sorted(odd)]
    if missing or unknown or shapes:
        raise TensorsUnknown(name, sorted(missing), unknown, shapes=shapes)


def drop_computed(names: Iterable[str]) -> list[str]:
    """The names, sorted, without those of computed tensors."""
    return sorted(name for name in names if not name.endswith(COMPUTED))


def check_extent(name: str, sizes: Mapping[str, Any], weights_bytes: int, tensors: int) -> None:
    """Refuses sizes that the weights cannot have and that would fill the memory.

    A model of these sizes is built before its weights can be compared by name.

    Args:
        name: The model's name, for messages.
        sizes: `layers`, `width`, `inner` and `vocabulary` as the configuration says; what is no
            number is left to transformers.
        weights_bytes: Size of the files.
        tensors: How many they hold.

    Raises:
        SizesImplausible: They ask for more.
    """
    layers, width, inner, vocabulary = (
        value if isinstance(value := sizes.get(key), int) else 1
        for key in ("layers", "width", "inner", "vocabulary")
    )
    if layers > max(tensors, HARMLESS_LAYERS):
        raise SizesImplausible(name, f"{layers} layers", f"{tensors} tensors")
    for part, count in (("layers", layers * width * inner), ("embeddings", vocabulary * width)):
        if count > max(weights_bytes * WEIGHTS_PER_BYTE, HARMLESS_WEIGHTS):
            raise SizesImplausible(name, f"{part} of {count} weights", f"{weights_bytes} bytes")


def config_sizes(config: Any) -> dict[str, Any]:
    """The sizes that `check_extent` takes, of a configuration of transformers."""
    text = config.get_text_config()
    keys = {"layers": "num_hidden_layers", "width": "hidden_size"}
    keys |= {"inner": "intermediate_size", "vocabulary": "vocab_size"}
    return {name: getattr(text, key, None) for name, key in keys.items()}


def count_tensors(folder: Path, name: str) -> int:
    """How many tensors the weights of a folder hold.

    Raises:
        CheckpointUnreadable: A file is missing or cannot be read.
    """
    count = 0
    for file in weight_files(folder, name):
        if file.endswith(".bin"):
            count += len(read_shard((folder / file).resolve()))
        elif file.endswith(".safetensors"):
            with open_safetensors(folder / file, name) as opened:
                count += len(opened.keys())
    return count


def check_index(folder: Path, name: str) -> None:
    """Compares an index of safetensors files with what they hold.

    Raises:
        CheckpointUnreadable: A file is missing or cannot be read.
        TensorsUnknown: The index and the files name other tensors.
    """
    index = folder / "model.safetensors.index.json"
    files = weight_files(folder, name)
    if index.name not in files:
        return
    entries = read_index(index, name)
    by_name: dict[str, str] = {}
    for file in files[1:]:
        with open_safetensors(folder / file, name) as opened:
            by_name |= dict.fromkeys(opened.keys(), file)
    missing = sorted(key for key, file in entries.items() if by_name.get(key) != file)
    unknown = drop_computed(by_name.keys() - entries.keys())
    if missing or unknown:
        raise TensorsUnknown(name, missing, unknown)


@contextmanager
def open_safetensors(file: Path, name: str) -> Iterator[Any]:
    """A safetensors file, of which only what is asked for is read.

    Raises:
        CheckpointUnreadable: It is missing or cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            yield opened
    except (SafetensorError, OSError) as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
        detail = "" if isinstance(error, FileNotFoundError) else f" ({escaped(error, 200)})"
        raise CheckpointUnreadable(
            name, f"its {file.name} {reason}{detail}. Fetch it again"
        ) from error


def check_tied_head(folder: Path, config: Any, name: str) -> None:
    """Refuses a head of its own in a model whose configuration ties the head to the embedding.

    transformers 4 drops such a head, transformers 5 unties it.

    Raises:
        TiedHeadDiffers: There is one.
    """
    if not getattr(config.get_text_config(), "tie_word_embeddings", False):
        return
    pair = dict(_head_and_embedding(folder, name))
    if len(pair) == 2 and not torch.equal(pair[HEAD], pair[EMBEDDING]):
        raise TiedHeadDiffers(name)


def _head_and_embedding(folder: Path, name: str) -> Iterable[tuple[str, Tensor]]:
    """Both, as far as the weights hold them."""
    for file in weight_files(folder, name):
        if file.endswith(".safetensors"):
            with open_safetensors(folder / file, name) as opened:
                for key in opened.keys():  # noqa: SIM118  # no mapping
                    if key.endswith((HEAD, EMBEDDING)):
                        yield _kind(key), opened.get_tensor(key)
        elif file.endswith(".bin"):
            for key, weight in read_shard((folder / file).resolve()).items():
                if key.endswith((HEAD, EMBEDDING)):
                    yield _kind(key), weight


def _kind(key: str) -> str:
    return HEAD if key.endswith(HEAD) else EMBEDDING
