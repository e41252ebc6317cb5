"""Zones: the same rows whatever their width, and a vocabulary that does not grow."""

from __future__ import annotations

import spacy

from nlp_pipeline.corpus import Record
from nlp_pipeline.pipeline import PipelineSpec, load_pipeline, split
from nlp_pipeline.runner.annotate import annotate_batches, chain
from nlp_pipeline.runner.memory_zones import memory_zones
from nlp_pipeline.tables.rows import doc_rows

TEXTS = (
    "Ada Lovelace met 3 people in London. They were talking about engines.",
    "Unheardofness, Quuxville and zyzzyvas walked. The geese are flying.",
    "",
    "In Oslo it rains.",
)


def records(number: int) -> list[Record]:
    texts = (f"{TEXTS[i % 4]} New{i}word runs." for i in range(number))
    return [Record(i, f"r{i}", t, source="c", line=i + 1) for i, t in enumerate(texts)]


def rows(nlp: spacy.Language, number: int, **width: int) -> list[dict]:
    first, second = split(nlp)
    batches = annotate_batches(nlp, records(number), pipes=first, batch_size=2)
    made = []
    for zone in memory_zones(nlp, batches, **width):
        items = list(zone)
        docs = chain(nlp, second, (item.doc for item in items))
        made += [doc_rows(doc, item.origin) for item, doc in zip(items, docs, strict=True)]
    return made


def test_the_rows_do_not_depend_on_the_width() -> None:
    """With the statistical pipes, whose caches and morphology outlive a zone."""
    nlp = load_pipeline(PipelineSpec("en_qa_summary", echo=True))
    wide = rows(nlp, 12)
    assert len(wide) == 12
    for width in ({"documents": 1}, {"documents": 5}, {"characters": 100}):
        assert rows(nlp, 12, **width) == wide, width


def test_the_vocabulary_does_not_grow() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    rows(nlp, 4)
    before = {word.orth for word in nlp.vocab}, len(nlp.vocab.strings)
    rows(nlp, 400, documents=50)
    assert ({word.orth for word in nlp.vocab}, len(nlp.vocab.strings)) == before
    assert "New399word" not in nlp.vocab.strings


def test_a_zone_that_is_left_early_is_closed() -> None:
    nlp = spacy.blank("en")
    batches = annotate_batches(nlp, records(4), pipes=[], batch_size=1)
    zones = memory_zones(nlp, batches)
    next(next(zones))
    zones.close()
    with nlp.memory_zone():
        pass
