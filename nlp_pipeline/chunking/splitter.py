"""Splits a document at sentence ends by a budget of model tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from spacy.tokens import Doc

from nlp_pipeline.chunking.boundaries import Boundaries
from nlp_pipeline.chunking.chunk import Chunk, Ends

Count = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class _Unit:
    """What is never split further: a sentence, or a piece of one that is over the budget."""

    start: int
    end: int
    size: int
    ends: Ends
    whole: bool


def split(doc: Doc, count: Count, budget: int, *, overlap: int = 0) -> list[Chunk]:
    """Splits a document into chunks of as many whole sentences as fit.

    A sentence longer than the budget is split between tokens, outside entities and noun chunks;
    only where one of these, or a single token, is longer than the budget is it split inside.
    Every chunk says by `ends` which of these it was. Each sentence is counted once, each chunk
    once more, for the tokens of two sentences together may be more than the sum.

    Args:
        doc: The document.
        count: Length of a text in model tokens.
        budget: The most model tokens of a chunk; at least 1.
        overlap: So many sentences at the end of a chunk stand again at the beginning of the
            next, or fewer, where these leave less than half of the budget for what is new.

    Returns:
        The chunks in order; all text but white space stands in at least one of them.
    """
    boundaries = Boundaries(doc)
    text = boundaries.text
    units = list(_units(boundaries, count, budget))
    chunks: list[Chunk] = []
    start, repeated = 0, 0
    while start < len(units):
        end, size = _extent(units, start, repeated, text, count, budget)
        chunks.append(_chunk(boundaries, units[start:end], len(chunks), size, repeated))
        repeated = _repeat(units, start, end, overlap, budget)
        # Tokens do not add up where sentences meet: what is repeated has to fit beside the next.
        while repeated and _length(units[end - repeated : end + 1], text, count) > budget:
            repeated -= 1
        start = end - repeated
    return chunks


def _units(boundaries: Boundaries, count: Count, budget: int) -> Iterator[_Unit]:
    """The sentences, those over the budget in pieces; none of nothing but white space."""
    cuts = boundaries.sentences
    for start, end in pairwise(cuts):
        text = boundaries.text[start:end]
        if not text.strip():
            continue
        size = count(text.strip())
        if size <= budget:
            yield _Unit(start, end, size, ends="sentence", whole=True)
        else:
            pieces = list(_pieces(boundaries, start, end, count, budget))
            yield from pieces[:-1]
            last = pieces[-1]
            yield _Unit(last.start, last.end, last.size, ends="sentence", whole=False)


def _pieces(
    boundaries: Boundaries, start: int, end: int, count: Count, budget: int
) -> Iterator[_Unit]:
    """Pieces of a sentence, each as long as the budget allows, cut at the best places."""
    while start < end:
        ends, stop = _pieces_that_fit(boundaries, start, end, count, budget)
        piece = boundaries.text[start:stop].strip()
        if piece:
            yield _Unit(start, stop, count(piece), ends=ends, whole=False)
        start = stop


def _pieces_that_fit(
    boundaries: Boundaries, start: int, end: int, count: Count, budget: int
) -> tuple[Ends, int]:
    """The kind of the best place to cut a piece that is too long, and where it is."""
    for ends, cuts in boundaries.finer(start, end):
        number = _longest(boundaries.text, cuts, count, budget)
        if number:
            return ends, cuts[number]
    # One character alone may be more tokens than a tiny budget: it is not split.
    return "character", start + 1


def _longest(text: str, cuts: list[int], count: Count, budget: int) -> int:
    """The last of the cuts up to which the text fits, 0 if none: by doubling, then bisection."""
    start, low, high = cuts[0], 0, 1

    def fits(number: int) -> bool:
        return count(text[start : cuts[number]].strip()) <= budget

    while high < len(cuts) and fits(high):
        low, high = high, high * 2
    high = min(high, len(cuts))
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _extent(
    units: list[_Unit], start: int, repeated: int, text: str, count: Count, budget: int
) -> tuple[int, int]:
    """One past the last unit of the chunk that begins at `start`, and the chunk's length."""
    end, total = start, 0
    while end < len(units) and total + units[end].size <= budget:
        total += units[end].size
        end += 1
    end = max(end, start + repeated + 1)
    while True:
        size = _length(units[start:end], text, count)
        if size <= budget or end <= start + repeated + 1:
            return end, size
        end -= 1


def _length(units: list[_Unit], text: str, count: Count) -> int:
    """Length of adjacent units together, in model tokens."""
    return count(text[units[0].start : units[-1].end].strip())


def _repeat(units: list[_Unit], start: int, end: int, overlap: int, budget: int) -> int:
    """How many of a chunk's last units begin the next one."""
    if end >= len(units):
        return 0
    number, total = 0, units[end].size
    # One unit at least is left behind, or nothing would be gained.
    while number < min(overlap, end - start - 1):
        unit = units[end - number - 1]
        total += unit.size
        if not unit.whole or total > budget or total - units[end].size > budget // 2:
            break
        number += 1
    return number


def _chunk(
    boundaries: Boundaries, units: list[_Unit], chunk_id: int, size: int, overlap: int
) -> Chunk:
    """The chunk of some units, without the white space at its ends."""
    start, end = units[0].start, units[-1].end
    text = boundaries.text[start:end]
    start, end = end - len(text.lstrip()), start + len(text.rstrip())
    start_token, end_token = boundaries.tokens(start, end)
    start_sentence, end_sentence = boundaries.sentence_ids(start_token, end_token)
    return Chunk(
        chunk_id,
        start_char=start,
        end_char=end,
        start_token=start_token,
        end_token=end_token,
        start_sentence=start_sentence,
        end_sentence=end_sentence,
        n_model_tokens=size,
        overlap=overlap,
        ends=units[-1].ends,
    )
