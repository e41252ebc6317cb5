"""Hugging Face folders whose tokenizer is a SentencePiece `tokenizer.model` alone (open_llama).

transformers converts such a file with protobuf, and not always to the same ids. The package's own
reader of Meta's tokenizers reads the same file exactly; here the folder's settings come on top.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.meta import MetaTokenizerUnreadable
from nlp_pipeline.generation.meta import load_meta_tokenizer

FILE = "tokenizer.model"
_OTHERS = ("tokenizer.json", "vocab.json")
_NAMED = ("bos_token", "eos_token", "unk_token", "pad_token")


def holds_sentencepiece_alone(folder: Path) -> bool:
    """Whether a folder has a `tokenizer.model` and no fast tokenizer beside it."""
    return (folder / FILE).is_file() and not any((folder / name).is_file() for name in _OTHERS)


def load_sentencepiece(folder: Path) -> Any | None:
    """The fast tokenizer of such a folder; None where its model is not of Llama's kind.

    Raises:
        PackageMissing: sentencepiece is not installed.
    """
    try:
        tokenizer = load_meta_tokenizer(folder / FILE)
    except MetaTokenizerUnreadable:
        return None
    settings = _settings(folder / "special_tokens_map.json")
    settings |= _settings(folder / "tokenizer_config.json")
    template = folder / "chat_template.jinja"
    own = template.read_text("utf-8") if template.is_file() else settings.get("chat_template")
    tokenizer.chat_template = own if isinstance(own, str) else None
    for token, _ in sorted(
        _settings(folder / "added_tokens.json").items(), key=lambda item: item[1]
    ):
        tokenizer.add_tokens([token], special_tokens=True)
    for name in _NAMED:
        if text := _text(settings.get(name)):
            tokenizer.add_special_tokens({name: text})
    if settings.get("add_bos_token") is False:
        _leave_out_bos(tokenizer)
    if isinstance(length := settings.get("model_max_length"), int):
        tokenizer.model_max_length = length
    return tokenizer


def _leave_out_bos(tokenizer: Any) -> None:
    from tokenizers import processors

    tokenizer.backend_tokenizer.post_processor = processors.Sequence([])


def _settings(file: Path) -> dict[str, Any]:
    """A JSON object; an empty one where there is none."""
    try:
        values = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _text(token: Any) -> str | None:
    """A special token's text, which stands alone or in an object."""
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) and content else None
