"""Hugging Face folders of safetensors, of which only the parts that are asked for are read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import Tensor

from nlp_pipeline.errors.generation import CheckpointUnreadable
from nlp_pipeline.generation.distributed.tensor_parallel import Sliceable


class FolderCheckpoint:
    """A Hugging Face folder, of whose safetensors only the parts that are asked for are read.

    Raises:
        CheckpointUnreadable: It has no safetensors.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        index = folder / "model.safetensors.index.json"
        if index.is_file():
            names = json.loads(index.read_bytes())["weight_map"].values()
        else:
            names = [file.name for file in folder.glob("model.safetensors")]
        self._files = sorted(set(names))
        if not self._files:
            raise CheckpointUnreadable(
                str(folder), "several processes can share a model of safetensors files only"
            )

    def config(self) -> Any:
        """What `config.json` says."""
        from transformers import AutoConfig

        return AutoConfig.from_pretrained(self._folder, trust_remote_code=False)

    def generation_config(self) -> Any:
        """What `generation_config.json` says; None where there is none."""
        from transformers.generation.configuration_utils import GenerationConfig

        if not (self._folder / "generation_config.json").is_file():
            return None
        return GenerationConfig.from_pretrained(self._folder)

    def tensors(self) -> Iterator[tuple[str, Sliceable]]:
        """Names and slices of the files' tensors."""
        from safetensors import safe_open

        with ExitStack() as stack:
            for name in self._files:
                file = stack.enter_context(safe_open(self._folder / name, framework="pt"))
                for key in file.keys():  # noqa: SIM118  # no mapping
                    yield key, _FileTensor(file.get_slice(key))


class _FileTensor:
    """A tensor in a safetensors file."""

    def __init__(self, place: Any) -> None:
        self._place = place

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self._place.get_shape())

    def __getitem__(self, key: Any) -> Tensor:
        part: Tensor = self._place[key]
        return part
