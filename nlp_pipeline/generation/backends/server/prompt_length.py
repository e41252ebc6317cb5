"""Whether a server has read the whole prompt: some cut it to their context and answer all the same.

Ollama does so by default, and says 200: the answer is then one about the end of the document, or
about no question at all. What a server says that it has read (`usage.prompt_tokens`) is compared
with the fewest tokens that the prompt can have.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from nlp_pipeline.errors.server import PromptCut

SHORTEST_CONTEXT = 256
"""No server has a shorter context, so none cuts a prompt of fewer tokens."""

LONGEST_WORD = 32
"""Letters that one token holds at most, in writing with spaces."""

LONGEST_NUMBER = 3
"""Digits that one token holds at most."""

CHARACTERS_PER_TOKEN = 4
"""What a prompt has on average at most: English in large vocabularies comes near it, and text that
is cut into more words than that (tables, lists) is not counted higher."""

_CJK = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af]+")
_SOUTH_EAST = re.compile("[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff]+")
_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"\d+")
_SIGNS = re.compile(r"[^\w\s]+(?!\w)")
_CHARACTERS_OF_DENSE = ((_CJK, 4), (_SOUTH_EAST, 8))
"""Writing without spaces, with the characters that a token holds on average at most."""


def fewest_tokens(text: str) -> int:
    """The fewest tokens that any vocabulary in use makes of a text.

    No token reaches over the end of a word, of a number or of the signs that close a word, so
    each of these is at least one; writing without spaces is counted by its characters.
    """
    if not text.isascii():  # marks and joiners belong to the letter before them
        text = "".join(c for c in text if unicodedata.category(c) not in ("Mn", "Mc", "Me", "Cf"))
    dense = 0
    for pattern, size in _CHARACTERS_OF_DENSE:
        dense += sum(map(len, pattern.findall(text))) // size
        text = pattern.sub(" ", text)
    count = sum(math.ceil(len(word) / LONGEST_WORD) for word in _WORD.findall(text))
    count += sum(math.ceil(len(digits) / LONGEST_NUMBER) for digits in _NUMBER.findall(text))
    count += len(_SIGNS.findall(text))
    return dense + min(count, len(text) // CHARACTERS_PER_TOKEN)


def prompt_texts(body: Mapping[str, Any]) -> list[str]:
    """The texts of a request's prompt, as they are sent."""
    if "messages" in body:
        return [str(message["content"]) for message in body["messages"]]
    return [str(body["prompt"])]


def check_read_whole(read: int, cached: int, texts: Iterable[str], tokens: int | None) -> None:
    """Refuses an answer to a prompt that the server did not read to its end.

    Args:
        read: `usage.prompt_tokens`; 0 where the server does not say.
        cached: Of these the ones from its cache, which a few servers leave out of `read`.
        texts: The texts of the prompt.
        tokens: How many tokens they have by the model's own tokenizer; None where that is not
            known.

    Raises:
        PromptCut: It has read fewer tokens than were sent.
    """
    if not read:
        return
    least = sum(map(fewest_tokens, texts)) if tokens is None else tokens
    if least >= SHORTEST_CONTEXT and read + cached < least:
        raise PromptCut(read, least, exact=tokens is not None)
