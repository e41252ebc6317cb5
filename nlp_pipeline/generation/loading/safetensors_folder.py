"""Hugging Face folders of safetensors, of which only the parts that are asked for are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from torch import Tensor

from nlp_pipeline.errors.generation import CheckpointUnreadable
from nlp_pipeline.generation.distributed.tensor_parallel import Sliceable
from nlp_pipeline.generation.loading.model_view import weight_files
from nlp_pipeline.generation.loading.tensor_check import drop_computed, open_safetensors


class FolderCheckpoint:
    """A Hugging Face folder, of whose safetensors only the parts that are asked for are read.

    Args:
        folder: The folder.
        name: The model's name, for messages.

    Raises:
        CheckpointUnreadable: It has no safetensors.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        files = weight_files(folder, name)
        self._files = [file for file in files if file.endswith(".safetensors")]
        if not self._files:
            raise CheckpointUnreadable(
                name, "several processes can share a model of safetensors files only"
            )

    def config(self) -> Any:
        """The model's configuration, from `config.json`."""
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
        with ExitStack() as stack:
            for name in self._files:
                file = stack.enter_context(open_safetensors(self._folder / name, self._name))
                for key in drop_computed(file.keys()):
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
