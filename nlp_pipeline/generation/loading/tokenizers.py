"""Tokenizers of every kind of model folder, always fast ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlp_pipeline.errors.generation import CheckpointUnreadable, ModelNotFound, TokenizerNotFound
from nlp_pipeline.generation.loading.hf_compat import one_line, unreadable
from nlp_pipeline.generation.meta import holds_meta_tokenizer, load_meta_tokenizer


def named_tokenizer(tokenizer: str) -> Any:
    """A tokenizer that the user named apart from the model."""
    place = Path(tokenizer).expanduser()
    try:
        return load_tokenizer(tokenizer, place if place.exists() else tokenizer)
    except (ModelNotFound, CheckpointUnreadable) as error:
        cause = error.__cause__
        raise TokenizerNotFound(tokenizer, one_line(cause) if cause else str(error)) from error


def load_tokenizer(name: str, source: str | Path) -> Any:
    """A model's own tokenizer.

    Raises:
        CheckpointUnreadable: The folder has none, or none with a fast form.
        ModelNotFound: The hub has no such model.
        PackageMissing: It is a SentencePiece model and sentencepiece is not installed.
    """
    from transformers import AutoTokenizer

    if isinstance(source, Path) and holds_meta_tokenizer(source):
        return load_meta_tokenizer(source)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except Exception as error:
        raise unreadable(name, source, error) from error
    if not tokenizer.is_fast:
        raise CheckpointUnreadable(str(source), "its tokenizer has no fast form (tokenizer.json)")
    return tokenizer
