"""Prompts that begin alike, as one sequence: what they share is computed once."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

Ids = tuple[int, ...]


@dataclass(frozen=True)
class TrainingExample:
    """A prompt and what is right after it, in tokens.

    Attributes:
        document_id: The document that the prompt is about.
        key: Component and question, for messages.
        prompt_ids: As the generator would be asked.
        target_ids: The answer with the token that ends it.
    """

    document_id: str
    key: str
    prompt_ids: Ids
    target_ids: Ids

    @property
    def n_tokens(self) -> int:
        """Tokens of prompt and answer."""
        return len(self.prompt_ids) + len(self.target_ids)


@dataclass(frozen=True)
class SharedSequence:
    """Several examples as one sequence: what their prompts share, then the rest of each.

    Attributes:
        prefix: The tokens that all prompts begin with.
        examples: The examples, one branch each.
    """

    prefix: Ids
    examples: tuple[TrainingExample, ...]

    @property
    def branches(self) -> list[Ids]:
        """The tokens of each example after the prefix."""
        start = len(self.prefix)
        return [example.prompt_ids[start:] + example.target_ids for example in self.examples]

    @property
    def n_tokens(self) -> int:
        """Tokens that are computed."""
        n_prompts = sum(example.n_tokens for example in self.examples)
        return n_prompts - (len(self.examples) - 1) * len(self.prefix)


def shared_sequences(examples: Iterable[TrainingExample], most: int) -> list[SharedSequence]:
    """Puts the examples of each document together where their prompts begin alike.

    Prompts share a sequence where each shares at least half of itself with the next one: two
    that have only the system prompt in common gain nothing beside each other.

    Args:
        examples: In any order; those of a document one after the other.
        most: Examples in a sequence at most.
    """
    sequences = []
    for _, group in groupby(examples, key=lambda example: example.document_id):
        ordered = sorted(group, key=lambda example: example.prompt_ids)
        members: list[TrainingExample] = []
        for example in ordered:
            alike = members and 2 * _common(members[-1].prompt_ids, example.prompt_ids) >= len(
                example.prompt_ids
            )
            if members and (not alike or len(members) == most):
                sequences.append(_joined(members))
                members = []
            members.append(example)
        sequences.append(_joined(members))
    return sequences


def _joined(members: Sequence[TrainingExample]) -> SharedSequence:
    # In sorted order, what the first and the last share all share. One token of a prompt stays
    # in its branch: the answer's first token is predicted there.
    first, last = members[0].prompt_ids, members[-1].prompt_ids
    shortest = min(len(example.prompt_ids) for example in members)
    return SharedSequence(first[: min(_common(first, last), shortest - 1)], tuple(members))


def _common(first: Ids, second: Ids) -> int:
    """How many tokens two prompts begin with alike."""
    pairs = zip(first, second, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))


def mini_batches(
    sequences: Sequence[SharedSequence], batch_size: int, seed: int, epoch: int
) -> list[list[SharedSequence]]:
    """The mini-batches of one epoch: in random order, within a batch of like length.

    Args:
        sequences: All of them.
        batch_size: Examples in a mini-batch at least, the last one excepted.
        seed: The same seed and epoch give the same batches.
        epoch: 0-based.
    """
    numbers = random.Random(f"{seed}-{epoch}")
    order = list(sequences)
    numbers.shuffle(order)
    # Sorted within windows of many batches: like lengths meet, and yet chance does too.
    window = _WINDOW * batch_size
    order = [
        sequence
        for start in range(0, len(order), window)
        for sequence in sorted(order[start : start + window], key=lambda s: s.n_tokens)
    ]
    batches = list(_filled(order, batch_size))
    numbers.shuffle(batches)
    return batches


_WINDOW = 8
"""Sequences for so many mini-batches are sorted by length together."""


def _filled(order: Iterable[SharedSequence], batch_size: int) -> Iterator[list[SharedSequence]]:
    batch: list[SharedSequence] = []
    size = 0
    for sequence in order:
        batch.append(sequence)
        size += len(sequence.examples)
        if size >= batch_size:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
