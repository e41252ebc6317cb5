"""The linguistic half: one Doc per record and reject, in order, whatever a component does."""

from __future__ import annotations

import spacy
from spacy.language import Language

from nlp_pipeline.corpus import Question, Record, Reject
from nlp_pipeline.runner.annotate import annotate, chain

PIPES = ["ticklish"]


@Language.component("ticklish")
def touchy(doc):
    """Fails on a document, as a component may."""
    if "BOOM" in doc.text:
        raise RuntimeError("went\nboom \x1b[31m" + "!" * 500)
    return doc


class Swallow:
    """A component that drops Docs from its batch: spaCy lets it."""

    def __call__(self, doc):
        return doc

    def pipe(self, stream, **_):
        return (doc for doc in stream if "LOST" not in doc.text)


def made(pipe: str = "ticklish") -> spacy.Language:
    nlp = spacy.blank("en")
    nlp.add_pipe(pipe)
    return nlp


def record(index: int, text: str, **values) -> Record:
    return Record(index, f"r{index}", text, source="c.jsonl", line=index + 1, **values)


def test_records_and_rejects_keep_their_order_and_place() -> None:
    items: list[Record | Reject] = [
        record(0, "one", meta={"a": 1}),
        Reject(1, "c:2", "empty_text", "c.jsonl:2 is empty.", "c.jsonl", 2),
        record(2, "two", questions=(Question("w", "Who?"),)),
        Reject(3, "c:4", "empty_text", "c.jsonl:4 is empty.", "c.jsonl", 4),
    ]
    for size in (1, 2, 3, 64):
        found = list(annotate(made(), items, pipes=PIPES, batch_size=size))
        assert [one.doc.text for one in found] == ["one", "", "two", ""]
        assert [one.doc._.record_id for one in found] == ["r0", "c:2", "r2", "c:4"]
        assert [one.origin.line for one in found] == [1, 2, 3, 4]
        assert [one.origin.text for one in found] == ["one", None, "two", None]
        assert found[0].doc._.meta == {"a": 1}
        assert found[2].doc._.questions == [{"id": "w", "text": "Who?"}]
        assert [error["stage"] for error in found[1].doc._.errors] == ["read"]


def test_a_document_that_a_component_fails_on_loses_only_itself() -> None:
    items = [record(i, "BOOM" if i == 3 else f"text {i}") for i in range(8)]
    found = list(annotate(made(), items, pipes=PIPES, batch_size=8))
    assert [one.doc.text for one in found] == [
        "" if i == 3 else item.text for i, item in enumerate(items)
    ]
    (error,) = found[3].doc._.errors
    assert (error["stage"], error["type"]) == ("annotate", "annotation_failed")
    assert error["message"].startswith("spaCy failed on document 'r3': went boom \\x1b[31m!!!")
    assert len(error["message"]) < 400
    assert found[3].origin.text == "BOOM"
    assert not any(one.doc._.errors for one in found if one is not found[3])


def test_a_component_that_drops_docs_gives_no_record_its_neighbours() -> None:
    Language.component("swallow", func=Swallow())
    nlp = made("swallow")
    nlp.get_pipe("swallow")
    items = [record(0, "one"), record(1, "LOST"), record(2, "two")]
    found = list(annotate(nlp, items, pipes=["swallow"], batch_size=3))
    assert [(one.origin.text, one.doc.text) for one in found] == [(t.text, t.text) for t in items]


def test_a_text_that_spacy_finds_too_long_is_one_error() -> None:
    nlp = made()
    nlp.max_length = 10
    items = [record(0, "short"), record(1, "far too long a text"), record(2, "short")]
    found = list(annotate(nlp, items, pipes=PIPES, batch_size=3))
    assert [bool(one.doc._.errors) for one in found] == [False, True, False]
    assert "E088" in found[1].doc._.errors[0]["message"]


def test_only_the_pipes_asked_for_are_run() -> None:
    (found,) = annotate(made(), [record(0, "BOOM")], pipes=[], batch_size=1)
    assert found.doc.text == "BOOM"


def test_reading_goes_no_further_than_the_batch() -> None:
    read: list[int] = []

    def items():
        for i in range(10):
            read.append(i)
            yield record(i, "text")

    next(annotate(made(), items(), pipes=PIPES, batch_size=3))
    assert read == [0, 1, 2]


def test_a_pipe_behind_the_llama_loses_no_document_either() -> None:
    nlp = made()
    docs = [nlp.make_doc(text) for text in ("a", "BOOM", "b")]
    found = list(chain(nlp, PIPES, docs))
    assert found == docs
    assert [len(doc._.errors) for doc in found] == [0, 1, 0]
    assert found[1]._.errors[0]["component"] == "ticklish"


def test_too_little_memory_for_a_batch_is_tried_one_document_at_a_time() -> None:
    class Greedy:
        """Has memory for a short document at a time."""

        def __call__(self, doc):
            if "HUGE" in doc.text:
                raise MemoryError
            return doc

        def pipe(self, stream, **_):
            if len(list(stream)) > 1:
                raise MemoryError
            return iter(())

    Language.component("greedy", func=Greedy())
    items = [record(0, "one"), record(1, "HUGE"), record(2, "two")]
    found = list(annotate(made("greedy"), items, pipes=["greedy"], batch_size=3))
    assert [bool(one.doc._.errors) for one in found] == [False, True, False]
    assert "MemoryError" in found[1].doc._.errors[0]["message"]
