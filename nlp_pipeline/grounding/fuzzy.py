"""The best monotone alignment of an answer's words to a piece of the document."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from spacy.tokens import Doc, Span

from nlp_pipeline.grounding.text import TextIndex, is_word, token_keys

THRESHOLD = (3, 4)
"""The least similarity of a fuzzy alignment, as a fraction: 0.75."""

MAX_WORDS = 256
"""A longer answer is no quotation; it is not aligned word by word."""


class Alignment(NamedTuple):
    """Tokens of the document (end-exclusive) and their similarity to the answer, in (0, 1]."""

    start: int
    end: int
    score: float


def align_words(index: TextIndex, answer: Doc | Span) -> Alignment | None:
    """The piece of a document that an answer aligns to best, if any does well enough.

    The words of both are compared in their order, punctuation set aside; two words are equal
    when their folded texts or their lemmas are. With M equal words, m words in the answer and w
    in the piece, the similarity is 2 M / (m + w) (normalized indel similarity). A piece is good
    enough when this is at least t (`THRESHOLD`), that is when 2 M - t w - t m >= 0. The piece
    that makes the left side largest is taken; of equal ones the shortest, then the first.

    Source of the method: approximate matching of a pattern anywhere in a text (P. Sellers, The
    theory and computation of evolutionary distances, 1980), with the longest common subsequence
    as measure. One row of the table per word of the answer, each a few numpy operations over
    the document: O(m n) in steps of a nanosecond.
    """
    words = [token for token in answer if is_word(token)]
    if not 0 < len(words) <= MAX_WORDS or not index.word_tokens:
        return None
    vocabulary, (numerator, denominator) = index.vocabulary, THRESHOLD
    pairs = [tuple(vocabulary.get(key, -1) for key in token_keys(token)) for token in words]
    # Each piece needs at least this many of the words: 2 M >= t (m + w) and w >= M.
    present = sum(max(pair) >= 0 for pair in pairs)
    if present * (2 * denominator - numerator) < numerator * len(pairs):
        return None
    skip, hit = numerator, 2 * denominator - numerator
    score, start = _table(index.keys, pairs, skip, hit)
    best = int(score.max())
    if best < numerator * len(pairs):
        return None
    ends = np.flatnonzero(score == best)
    end = int(ends[np.argmax(start[ends] - ends)])  # the shortest, then the first
    width = end - int(start[end])
    equal = (best + skip * width) // (2 * denominator)
    tokens = index.word_tokens
    first, last = tokens[int(start[end])], tokens[end - 1]
    return Alignment(first, last + 1, 2 * equal / (len(pairs) + width))


def _table(
    keys: np.ndarray, pairs: list[tuple[int, ...]], skip: int, hit: int
) -> tuple[np.ndarray, np.ndarray]:
    """The last row: per end in the document, the best score of a piece and where it begins.

    A word of the piece costs `skip`, one that is equal earns `hit` net of that.

    Args:
        keys: Shape: (2, n_words).
        pairs: Two keys per word of the answer, -1 for one that the document lacks.
        skip: What a word of the piece costs.
        hit: What an equal word earns.

    Returns:
        Scores and beginnings. Shape of each: (n_words + 1,).
    """
    width = keys.shape[1] + 1
    columns = np.arange(width, dtype=np.int64)
    score, start = np.zeros(width, dtype=np.int64), columns.copy()
    for text, lemma in pairs:
        if text < 0 and lemma < 0:
            continue
        equal = ((keys == text) & (text >= 0)).any(axis=0) | ((keys == lemma) & (lemma >= 0)).any(
            axis=0
        )
        scores, begin = score.copy(), start.copy()
        diagonal = score[:-1] + hit
        better = equal & (diagonal > scores[1:])
        scores[1:][better] = diagonal[better]
        begin[1:][better] = start[:-1][better]
        # Words of the piece that are left out: the best earlier end, less their cost.
        level = scores + skip * columns
        highest = np.maximum.accumulate(level)
        source = np.maximum.accumulate(np.where(level == highest, columns, 0))
        score, start = highest - skip * columns, begin[source]
    return score, start
