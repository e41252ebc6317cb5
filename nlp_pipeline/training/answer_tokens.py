"""An answer in the tokens in which the generator would write it, with the token that ends it."""

from __future__ import annotations

from collections.abc import Sequence

from nlp_pipeline.components.base import Ask
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.generation.constraints.constraint import BoundConstraint
from nlp_pipeline.generation.constraints.vocabulary import Vocabulary
from nlp_pipeline.generation.stopping import stop_token_ids

_TRIES = 20_000
"""Looks at the constraint at most: an answer takes one a token, unless it is spelled oddly."""


class AnswerTokens:
    """Spells answers for one model.

    Args:
        vocabulary: Of the model.
        eos_token_id: The token that ends an answer, such as the end of a chat's turn.
    """

    def __init__(self, vocabulary: Vocabulary, eos_token_id: int) -> None:
        self._vocabulary = vocabulary
        self._eos = eos_token_id

    def target_ids(self, ask: Ask, text: str) -> tuple[int, ...] | None:
        """The tokens of an answer as a generator that obeys the ask would write them.

        After a beginning that the template has written, such as `Answer:`, an answer begins with
        a space.

        Args:
            ask: What is asked.
            text: The answer, without space around it.

        Returns:
            With the token that ends it; None where the ask's constraint does not allow it.
        """
        prefix = ask.chat.answer_prefix
        spaced = f" {text}" if prefix and not prefix[-1].isspace() else text
        if ask.constraint is None:
            return (*self._vocabulary.encode(spaced), self._eos)
        try:
            constraint = ask.constraint.bind(self._vocabulary)
            for spelling in dict.fromkeys((spaced, text, f" {text}")):
                ids = self._allowed_ids(constraint, spelling)
                if ids is not None:
                    return ids
        except NlpPipelineError:
            return None
        return None

    def _allowed_ids(self, constraint: BoundConstraint, text: str) -> tuple[int, ...] | None:
        """The tokenizer's own tokens where they are allowed, else any that spell the text."""
        own = self._vocabulary.encode(text)
        stops = {self._eos, *self._vocabulary.eos_token_ids, *stop_token_ids(constraint)}
        if all(token in self._allowed(constraint, own[:n]) for n, token in enumerate(own)):
            end = self._end(self._allowed(constraint, own), stops)
            if end is not None:
                return (*own, end)
        return self._searched(constraint, text.encode(), stops)

    def _searched(
        self, constraint: BoundConstraint, data: bytes, stops: set[int]
    ) -> tuple[int, ...] | None:
        """A way through the constraint that spells some bytes, long tokens first."""
        token_bytes = self._vocabulary.token_bytes
        open_ways: list[tuple[tuple[int, ...], int]] = [((), 0)]
        for _ in range(_TRIES):
            if not open_ways:
                return None
            ids, place = open_ways.pop()
            allowed = self._allowed(constraint, ids)
            if place == len(data):
                end = self._end(allowed, stops)
                if end is not None:
                    return (*ids, end)
                continue
            steps = [
                token
                for token in allowed
                if token_bytes[token] and data.startswith(token_bytes[token], place)
            ]
            for token in sorted(steps, key=lambda token: len(token_bytes[token])):
                open_ways.append(((*ids, token), place + len(token_bytes[token])))
        return None

    def _allowed(self, constraint: BoundConstraint, output_ids: Sequence[int]) -> frozenset[int]:
        """What a constraint allows, as ids, whichever way it says it."""
        allowed = constraint.allowed(tuple(output_ids))
        if allowed is None:
            return frozenset(range(len(self._vocabulary.token_bytes)))
        if isinstance(allowed, Sequence):
            return frozenset(allowed)
        return frozenset(allowed.nonzero().flatten().tolist())

    def _end(self, allowed: Sequence[int] | frozenset[int], stops: set[int]) -> int | None:
        """The token that may end an answer here; the chat's own where there are several."""
        ends = stops.intersection(allowed)
        return self._eos if self._eos in ends else min(ends, default=None)
