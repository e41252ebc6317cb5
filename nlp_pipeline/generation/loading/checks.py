"""What a model folder must hold, looked at before transformers tries to load it.

transformers says for most of these cases what its parsers said, guesses the kind of model from
the folder's name where the config names none, and advises to run the code that a folder brings.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.generation import CheckpointUnreadable
from nlp_pipeline.errors.meta import VocabularyDisagrees
from nlp_pipeline.generation.loading.model_view import weight_files

ROUNDED_UP = 256
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")


def check_folder(folder: Path, name: str, *, needs_tokenizer: bool) -> None:
    """Refuses a folder that cannot be loaded.

    Args:
        folder: Where the model lies.
        name: The model's name, for messages.
        needs_tokenizer: False where the tokenizer comes from elsewhere.

    Raises:
        CheckpointUnreadable: Something is missing; the message says what.
    """
    reason = _config_fault(folder) or _file_fault(folder, name, needs_tokenizer)
    if reason:
        raise CheckpointUnreadable(name, reason)


def check_vocabulary(name: str, tokenizer: int, model: int) -> None:
    """Refuses a tokenizer that belongs to another model.

    Args:
        name: The model, for messages.
        tokenizer: Number of its tokens.
        model: Rows of the embedding; some models round them up to a multiple of 64 or more.

    Raises:
        VocabularyDisagrees: Ids without a row, or more rows without an id than rounding explains.
    """
    if not 0 <= model - tokenizer < ROUNDED_UP:
        raise VocabularyDisagrees(name, tokenizer, model)


def _config_fault(folder: Path) -> str | None:
    """What is wrong with `config.json`, if anything."""
    import transformers
    from transformers import CONFIG_MAPPING

    try:
        config: Any = json.loads((folder / "config.json").read_bytes())
    except ValueError as error:
        return f"its config.json is no JSON ({error})"
    kind = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(kind, str):
        return "its config.json names no model_type"
    if kind in CONFIG_MAPPING:
        return None
    if "auto_map" in config:
        return f"its model_type '{kind}' needs code that the folder brings, which is never run"
    return f"its model_type '{kind}' is not known to transformers {transformers.__version__}"


def _file_fault(folder: Path, name: str, needs_tokenizer: bool) -> str | None:
    """Which file of a model's folder is missing; None where none is."""
    if not weight_files(folder, name):
        parts = any(folder.glob("model-*-of-*.safetensors"))
        return f"it has no weights (model.safetensors{'.index.json' * parts})"
    if needs_tokenizer and not any((folder / name).is_file() for name in TOKENIZERS):
        return "it has no tokenizer (tokenizer.json)"
    return None
