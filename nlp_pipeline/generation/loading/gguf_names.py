"""Tensors of a GGUF file that transformers would leave out without a word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.meta import TensorsUnknown
from nlp_pipeline.generation.loading.gguf_header import GgufHeader

_BLOCK = re.compile(r"blk\.(\d+)\.")
_COMPUTED = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")


def check_gguf_names(file: Path, header: GgufHeader, model: Any) -> None:
    """Compares the names of a file's tensors with those that its model has.

    Args:
        file: The GGUF file.
        header: Its header.
        model: What transformers made of it.

    Raises:
        TensorsUnknown: The file has tensors that the model does not know.
    """
    layers = model.config.get_text_config().num_hidden_layers
    unknown = {name for name in header.tensors if (m := _BLOCK.match(name)) and int(m[1]) >= layers}
    keys = list(model.state_dict())
    if not any("experts" in key for key in keys):  # whose tensors a file packs in ways of its own
        expected = set(_gguf_names(keys, str(header.values.get("general.architecture")), layers))
        unknown |= header.tensors.keys() - expected - set(_COMPUTED)
    if unknown:
        raise TensorsUnknown(str(file), [], sorted(unknown))


def _gguf_names(keys: list[str], architecture: str, layers: int) -> Iterator[str]:
    """What a file of this architecture calls the weights that transformers calls `keys`."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

    kinds = {name: kind for kind, name in MODEL_ARCH_NAMES.items()}
    names = get_tensor_name_map(kinds[architecture], layers)
    for key in keys:
        # Some were converted from the model without its head, whose names have no prefix.
        for form in (key, key.split(".", 1)[-1]):
            stem, dot, end = form.rpartition(".")
            if (name := names.get_name(stem)) is not None:
                yield f"{name}{dot}{end}"
