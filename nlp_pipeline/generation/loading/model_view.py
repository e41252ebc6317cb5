"""A model folder as transformers may see it: data files alone, and no word in them that calls code.

A folder is a download like any other. transformers runs what it finds there in more places than
`trust_remote_code` covers: version 4.53 imports `custom_generate/generate.py`, whatever was said,
and a configuration can name kernels or classes of other repositories. So it is never shown the
folder itself, but one made for it, with links to the weights and cleaned copies of the rest.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.generation import CheckpointUnreadable

CONFIGS = ("config.json", "generation_config.json", "tokenizer_config.json")
VOCABULARIES = (
    *("tokenizer.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "vocab.txt", "merges.txt", "spiece.model", "sentencepiece.bpe.model"),
    *("chat_template.jinja", "chat_template.json", "tekken.json", "tiktoken.model"),
)
WHOLE_WEIGHTS = (
    ("model.safetensors.index.json", "model.safetensors"),
    ("pytorch_model.bin.index.json", "pytorch_model.bin"),
)
"""For each format the index of several files and the name of a single one, best first."""

_CALLS_CODE = frozenset(
    (
        *("auto_map", "custom_generate", "custom_pipelines", "trust_remote_code"),
        *("attn_implementation", "_attn_implementation", "_attn_implementation_internal"),
        *("experts_implementation", "_experts_implementation", "use_kernels", "kernel_config"),
        *("_name_or_path", "name_or_path", "base_model_name_or_path", "_commit_hash"),
        *("vocab_file", "tokenizer_file", "merges_file", "special_tokens_map_file"),
    )
)
"""Keys of configurations by which code, or files that lie elsewhere, would be loaded."""


@contextmanager
def model_view(folder: Path, name: str) -> Iterator[Path]:
    """A folder for the duration of a load, with what may be loaded of `folder` and nothing else.

    Args:
        folder: A model folder with a `config.json`, or with a tokenizer alone.
        name: The model's name, for messages.

    Raises:
        CheckpointUnreadable: Its index names files outside of it.
    """
    with tempfile.TemporaryDirectory(prefix="nlp-pipeline-model-") as folder_name:
        view = Path(folder_name)
        for file in CONFIGS:
            if (folder / file).is_file():
                _copy_cleaned(folder / file, view / file)
        for file in (*VOCABULARIES, *weight_files(folder, name)):
            if (folder / file).is_file():
                _link(folder / file, view / file)
        yield view


def weight_files(folder: Path, name: str) -> list[str]:
    """The files with the weights that are loaded, and their index; none where there are none.

    Raises:
        CheckpointUnreadable: The index cannot be read, or names something else than files of the
            folder.
    """
    for index, whole in WHOLE_WEIGHTS:
        if (folder / whole).is_file():  # what transformers takes, where both are there
            return [whole]
        if (folder / index).is_file():
            return [index, *sorted(set(read_index(folder / index, name).values()))]
    return []


def read_index(file: Path, name: str) -> dict[str, str]:
    """Tensors and their files, as an index says.

    Raises:
        CheckpointUnreadable: It says something else.
    """
    try:
        names: Any = json.loads(file.read_bytes())["weight_map"]
        entries = {str(tensor): str(part) for tensor, part in names.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointUnreadable(name, f"its {file.name} is no index of weights") from error
    for part in entries.values():
        if part != Path(part).name or "\\" in part:
            raise CheckpointUnreadable(name, f"its {file.name} names files outside of the folder")
    return entries


def _copy_cleaned(source: Path, target: Path) -> None:
    """A configuration without the keys that call code; one that is no JSON stays as it is."""
    content = source.read_bytes()
    try:
        cleaned = _cleaned(json.loads(content))
    except (ValueError, RecursionError):
        target.write_bytes(content)
        return
    target.write_text(json.dumps(cleaned), encoding="utf-8")


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cleaned(inner) for key, inner in value.items() if key not in _CALLS_CODE}
    return [_cleaned(inner) for inner in value] if isinstance(value, list) else value


def _link(source: Path, target: Path) -> None:
    """A link where the system allows one, else a copy."""
    try:
        os.symlink(source.resolve(), target)
    except (OSError, NotImplementedError):
        shutil.copyfile(source, target)
