"""Which sentences of a document may stand in its summary, and how much speaks for each.

News says first what matters, so the place of a sentence weighs most; beside it counts how much of
its words the other sentences take up (as in LexRank, Erkan and Radev 2004), each word the more the
rarer it is in the document.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from spacy.tokens import Doc, Span

from nlp_pipeline.grounding.answer_reader import split_sentences
from nlp_pipeline.grounding.text import terms

LEAST_WORDS = 5
"""A sentence of fewer words is a byline, a caption or a cross-reference."""
PLACE, CENTRALITY, QUOTATION = 1.0, 1.0, 0.5
"""Weights: of the logarithm of the place, of the centrality, and of the share that is quoted."""

_WORD = re.compile(r"[^\W\d_]+")
_CITY = r"[A-Z][A-Z.'’ -]+(?:,[\w.'’ -]{1,30}){0,2}"
_AGENCY = r"\((?:[A-Z]{2,}|Reuters)[\w .,]{0,20}\)"
_DATELINE = re.compile(rf"(?:{_CITY}\s*)?{_AGENCY}\s*(?:--|[-–—])?\s*|{_CITY}\s*(?:--|[–—])\s+")
"""Where and by which agency news was written: "OSLO, Norway (AP) -- "."""
_QUOTED = re.compile(r"[“\"«„][^“”\"«»]*[”\"»“]")


class SummarySentence(NamedTuple):
    """A sentence that may stand in a summary.

    Attributes:
        number: 0-based, among these.
        start_char: First character in the document, behind a dateline.
        end_char: One past the last.
        salience: How much speaks for it, the higher the better; compared within a document only.
        vector: Its terms, weighted by their rarity; of length 1.
    """

    number: int
    start_char: int
    end_char: int
    salience: float
    vector: Mapping[str, float]


def summary_sentences(doc: Doc) -> list[SummarySentence]:
    """The sentences that say something, in their order; all where none does."""
    sentences = split_sentences(doc)
    statements = [sentence for sentence in sentences if _is_statement(sentence)] or sentences
    vectors = _unit_weights(statements)
    centralities = _centralities(vectors)
    candidates: list[SummarySentence] = []
    for number, sentence in enumerate(statements):
        start, end = _place(sentence)
        text = doc.text[start:end]
        quoted = sum(len(match[0]) for match in _QUOTED.finditer(text)) / max(1, len(text))
        salience = (
            CENTRALITY * centralities[number] - PLACE * math.log1p(number) - QUOTATION * quoted
        )
        candidates.append(
            SummarySentence(number, start, end, salience=salience, vector=vectors[number])
        )
    return candidates


def similarity(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """The product of two sentences' vectors: 1 for the same words, 0 for no common one."""
    return sum(weight * other[term] for term, weight in one.items() if term in other)


def _is_statement(sentence: Span) -> bool:
    """Whether it is long enough, has a verb where those are known, and asks nothing."""
    text = sentence.text.rstrip()
    if len(_WORD.findall(text)) < LEAST_WORDS or text.endswith("?"):
        return False
    is_tagged = sentence.doc.has_annotation("POS")
    return not is_tagged or any(token.pos_ in ("VERB", "AUX") for token in sentence)


def _place(sentence: Span) -> tuple[int, int]:
    """The characters of a sentence, without space around it and a dateline before it."""
    text = sentence.text
    start = sentence.start_char + len(text) - len(text.lstrip())
    end = sentence.start_char + len(text.rstrip())
    dateline = _DATELINE.match(sentence.doc.text, start, end)
    opens_text = not sentence.doc.text[:start].strip()
    return (dateline.end() if dateline and opens_text and dateline.end() < end else start), end


def _unit_weights(sentences: Sequence[Span]) -> list[dict[str, float]]:
    """The terms of each sentence, the rarer among them the heavier; each a vector of length 1."""
    by_sentence = [terms(sentence) for sentence in sentences]
    counts = Counter(term for sentence_terms in by_sentence for term in sentence_terms)
    vectors: list[dict[str, float]] = []
    for sentence_terms in by_sentence:
        weights = {
            term: weight * math.log1p(len(sentences) / counts[term])
            for term, weight in sentence_terms.items()
        }
        length = math.hypot(*weights.values()) or 1.0
        vectors.append({term: weight / length for term, weight in weights.items()})
    return vectors


def _centralities(vectors: Sequence[Mapping[str, float]]) -> list[float]:
    """The sums of a sentence's similarities to the others; 1 for the most central."""
    total: Counter[str] = Counter()
    for vector in vectors:
        total.update(vector)
    sums = [similarity(vector, total) - similarity(vector, vector) for vector in vectors]
    highest = max(sums, default=0.0)
    return [max(0.0, one / highest) if highest > 0 else 0.0 for one in sums]
