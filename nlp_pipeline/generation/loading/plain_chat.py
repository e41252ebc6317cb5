"""How a chat is written for a model without a chat template, such as one that was never tuned."""

from __future__ import annotations

import logging
from importlib.resources import files
from typing import Any

logger = logging.getLogger(__name__)

PLAIN = "plain.v1"


def give_plain_template(tokenizer: Any, name: str) -> str | None:
    """Gives a tokenizer that has no chat template the plain one: the texts of the turns alone.

    Args:
        tokenizer: A fast tokenizer of transformers; changed in place.
        name: The model's name, for the note.

    Returns:
        The template's name; None where the tokenizer has its own.
    """
    if tokenizer.chat_template:
        return None
    source = (files(__package__) / "chat_templates" / f"{PLAIN}.jinja").read_text("utf-8")
    begins = tokenizer.bos_token is not None and tokenizer.bos_token_id in tokenizer("").input_ids
    tokenizer.chat_template = ("{{ bos_token }}" if begins else "") + source
    logger.warning(
        "The tokenizer of %s has no chat template: prompts are written as plain text (%s). "
        "Worked `examples` help such a model most",
        name,
        PLAIN,
    )
    return PLAIN
