"""Tokenizers of every kind of model folder, always fast ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlp_pipeline.errors.generation import CheckpointUnreadable, ModelNotFound, TokenizerNotFound
from nlp_pipeline.generation.loading.hf_compat import one_line, unreadable
from nlp_pipeline.generation.loading.hub import hub_folder
from nlp_pipeline.generation.loading.model_view import model_view
from nlp_pipeline.generation.loading.sentencepiece_folder import (
    holds_sentencepiece_alone,
    load_sentencepiece,
)
from nlp_pipeline.generation.meta import holds_meta_tokenizer, load_meta_tokenizer


def named_tokenizer(tokenizer: str) -> Any:
    """A tokenizer that the user named apart from the model.

    Raises:
        TokenizerNotFound: It is not there, or cannot be read.
        PackageMissing: It is a SentencePiece model and sentencepiece is not installed.
    """
    place = Path(tokenizer).expanduser()
    try:
        if not place.exists():
            place = hub_folder(tokenizer, weights=False)
        if holds_meta_tokenizer(place):
            return load_tokenizer(tokenizer, place)
        with model_view(place, tokenizer) as view:
            return load_tokenizer(tokenizer, view)
    except (ModelNotFound, CheckpointUnreadable) as error:
        cause = error.__cause__
        raise TokenizerNotFound(tokenizer, one_line(cause) if cause else str(error)) from error


def load_tokenizer(name: str, place: Path) -> Any:
    """A model's own tokenizer.

    Args:
        name: The model's name, for messages.
        place: A folder that holds nothing but what may be loaded, one of Meta's, or a
            `tokenizer.model`.

    Raises:
        CheckpointUnreadable: The folder has none, or none with a fast form.
        PackageMissing: It is a SentencePiece model and sentencepiece is not installed.
    """
    from transformers import AutoTokenizer

    if holds_meta_tokenizer(place):
        return load_meta_tokenizer(place)
    if holds_sentencepiece_alone(place) and (tokenizer := load_sentencepiece(place)) is not None:
        tokenizer.name_or_path = name
        return tokenizer
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    except Exception as error:
        raise unreadable(name, place, error) from error
    if not tokenizer.is_fast:
        raise CheckpointUnreadable(name, "its tokenizer has no fast form (tokenizer.json)")
    tokenizer.name_or_path = name
    return tokenizer
