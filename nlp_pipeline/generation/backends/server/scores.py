"""Log-probabilities in the three forms in which servers give them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from nlp_pipeline.generation.interface import TokenAlternative

NO_ID = -1
"""The id of a token that the server names by its text only."""


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """A generated token.

    Attributes:
        piece: Its UTF-8 bytes, which may be part of a character.
        logprob: Natural logarithm of its probability.
        token_id: In the model's vocabulary, or `NO_ID`.
        top: The likeliest tokens at its place, likeliest first.
    """

    piece: bytes
    logprob: float
    token_id: int = NO_ID
    top: tuple[TokenAlternative, ...] = ()


def scored_tokens(logprobs: Any, top: int) -> list[ScoredToken]:
    """The generated tokens of a choice; none where anything about them is out of order.

    Chats have a list `content` of objects; completions have lists beside each other (OpenAI,
    vLLM) or the form of the chats (llama.cpp).

    Args:
        logprobs: The choice's `logprobs`.
        top: How many alternatives to keep.
    """
    try:
        if isinstance(logprobs, dict) and isinstance(logprobs.get("content"), list):
            return [_from_chat(entry, top) for entry in logprobs["content"]]
        if isinstance(logprobs, dict) and isinstance(logprobs.get("tokens"), list):
            return _from_completion(logprobs, top)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        # Scores are extra: a server that garbles them has still answered.
        pass
    return []


def token_range(
    text: str, start: int, end: int, tokens: list[ScoredToken], *, reasons: bool
) -> tuple[int, int]:
    """Which tokens a piece of a text comes from: none of what was cut off around it.

    Servers report the end-of-sequence token or a stop string's tokens, or strip spaces; some
    report the tokens of a reasoning that is no part of the text.

    Args:
        text: What the server sent.
        start: First character of the piece.
        end: One past its last character.
        tokens: Those of the reply.
        reasons: Whether there may be tokens of a reasoning.

    Returns:
        The first, and one past the last. Where the piece is not found these are all tokens, or
        none if there may be reasoning among them.
    """
    joined = b"".join(token.piece for token in tokens)
    find = joined.rfind if reasons else joined.find  # a reasoning may hold the answer as well
    place = find(text.encode())
    if place >= 0:
        place += len(text[:start].encode())
    else:
        place = find(text[start:end].encode())
    if place < 0:
        return (0, 0) if reasons else (0, len(tokens))
    starts = list(accumulate(map(len, (token.piece for token in tokens)), initial=0))
    first = sum(stop <= place for stop in starts[1:])
    last = sum(begin < place + len(text[start:end].encode()) for begin in starts[:-1])
    return min(first, last), last


def _from_chat(entry: dict[str, Any], top: int) -> ScoredToken:
    around = [
        TokenAlternative(_id(alternative), _text(alternative), _score(alternative["logprob"]))
        for alternative in entry.get("top_logprobs") or []
    ]
    return ScoredToken(_piece(entry), _score(entry["logprob"]), _id(entry), top=_best(around, top))


def _from_completion(logprobs: dict[str, Any], top: int) -> list[ScoredToken]:
    tokens, scores = logprobs["tokens"], logprobs["token_logprobs"]
    around = logprobs.get("top_logprobs") or [{}] * len(tokens)
    return [
        ScoredToken(
            piece=token.encode(),
            logprob=_score(score),
            top=_best(
                [
                    TokenAlternative(NO_ID, text, _score(p))
                    for text, p in (alternatives or {}).items()
                ],
                top,
            ),
        )
        for token, score, alternatives in zip(tokens, scores, around, strict=True)
    ]


def _best(alternatives: list[TokenAlternative], top: int) -> tuple[TokenAlternative, ...]:
    return tuple(sorted(alternatives, key=lambda alternative: -alternative.logprob)[:top])


def _piece(entry: dict[str, Any]) -> bytes:
    values = entry.get("bytes")
    return bytes(values) if isinstance(values, list) else str(entry["token"]).encode()


def _text(entry: dict[str, Any]) -> str:
    return _piece(entry).decode("utf-8", errors="replace")


def _id(entry: dict[str, Any]) -> int:
    value = entry.get("id")
    return value if isinstance(value, int) else NO_ID


def _score(value: Any) -> float:
    """A log-probability; rounding may make one a little larger than 0."""
    score = float(value)
    if not score <= 1e-3:
        raise ValueError(value)
    return min(score, 0.0)
