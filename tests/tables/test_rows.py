"""What becomes of a Doc: values where the pipeline sets them, nulls where it does not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import spacy
from spacy.tokens import Doc, Span

from nlp_pipeline.tables import to_frames
from nlp_pipeline.tables.rows import Origin, doc_rows


@pytest.fixture
def blank() -> spacy.Language:
    return spacy.blank("en")


def test_a_blank_pipeline_gives_nulls(blank) -> None:
    frames = to_frames([blank("Ada met Charles.")])
    (document,) = frames["documents"].itertuples()
    assert (document.n_tokens, document.n_chars, document.language) == (4, 16, "en")
    for name in ("n_sentences", "n_entities", "vector", "error", "source", "line"):
        assert pd.isna(getattr(document, name)), name
    tokens = frames["tokens"]
    for name in ("sentence_id", "lemma", "pos", "tag", "morph", "dep", "head", "ent_iob"):
        assert tokens[name].isna().all(), name
    assert tokens["has_vector"].isna().all()
    assert tokens["is_stop"].notna().all()
    for name in set(frames) - {"documents", "tokens"}:
        assert len(frames[name]) == 0, name


def test_none_found_is_not_none_looked_for(nlp_en, blank) -> None:
    with nlp_en.select_pipes(disable=["llama_qa", "llama_summarizer"]):
        found = to_frames([nlp_en("It rains."), nlp_en("Ada met Charles Babbage in London.")])
    assert found["documents"].n_entities[0] == 0
    assert found["documents"].n_entities[1] > 0
    assert set(found["tokens"].ent_iob) >= {"O", "B"}


def test_a_document_that_could_not_be_read_has_no_counts(blank) -> None:
    doc = Doc(blank.vocab)
    doc._.errors = [{"stage": "read", "type": "x", "message": "why", "retryable": False}]
    rows = doc_rows(doc, Origin("a", 3, "f.jsonl", 4))
    (document,) = rows["documents"]
    assert (document["status"], document["error"], document["position"]) == ("error", "why", 3)
    for name in ("text", "n_chars", "n_tokens", "n_sentences", "n_entities", "vector"):
        assert document[name] is None, name
    assert rows["errors"][0]["source"] == "f.jsonl"
    assert rows["errors"][0]["line"] == 4


def test_morphology_tags_and_arcs(nlp_en) -> None:
    with nlp_en.select_pipes(disable=["llama_qa", "llama_summarizer"]):
        doc = nlp_en("The cats slept.")
    tokens = {row["text"]: row for row in to_frames([doc])["tokens"].to_dict("records")}
    cats, slept = tokens["cats"], tokens["slept"]
    assert [cats[name] for name in ("lemma", "pos", "tag", "dep")] == [
        *("cat", "NOUN", "NNS", "nsubj")
    ]
    assert cats["morph"] == "Number=Plur"
    assert cats["head"] == slept["head"] == slept["token_id"]
    assert tokens["The"]["is_stop"]


def test_spans_of_every_group_and_overlapping(blank) -> None:
    doc = blank("Ada met Charles Babbage.")
    doc.spans["b"] = [Span(doc, 2, 4, "PERSON", span_id="x"), Span(doc, 3, 4)]
    doc.spans["a"] = [Span(doc, 0, 1, "PERSON")]
    spans = to_frames([doc])["spans"]
    assert spans["group"].tolist() == ["a", "b", "b"]
    assert spans.text.tolist() == ["Ada", "Charles Babbage", "Babbage"]
    assert spans.start_char.tolist() == [0, 8, 16]
    assert spans.span_id.isna().tolist() == [True, False, True]
    assert spans.label.isna().tolist() == [False, False, True]


def test_categories(blank) -> None:
    doc = blank("Fine.")
    doc.cats = {"good": 0.75, "bad": 0.25, "sure": 1}
    categories = to_frames([doc])["categories"]
    assert categories.label.tolist() == ["good", "bad", "sure"]
    assert categories.score.tolist() == [0.75, 0.25, 1.0]


def test_vectors_where_the_pipeline_has_them(blank) -> None:
    blank.add_pipe("sentencizer")
    blank.vocab.reset_vectors(width=3)
    blank.vocab.set_vector("cat", np.array([1, 2, 3], dtype="float32"))
    frames = to_frames([blank("cat dog. dog")])
    assert frames["documents"].vector[0] == [0.25, 0.5, 0.75]
    assert frames["sentences"].vector[1] == [0, 0, 0]
    assert frames["tokens"].has_vector.tolist() == [True, False, False, False]


def test_a_knowledge_base_id(blank) -> None:
    doc = blank("Ada met Charles.")
    doc.ents = [Span(doc, 0, 1, "PERSON", kb_id="Q7259"), Span(doc, 2, 3, "PERSON")]
    entities = to_frames([doc])["entities"]
    assert entities.kb_id[0] == "Q7259"
    assert entities.kb_id.isna().tolist() == [False, True]
    assert entities.sentence_id.isna().all()


def test_docs_without_an_id_are_named_by_their_place(blank) -> None:
    docs = list(blank.pipe(["a", "b"]))
    docs[1]._.record_id = "mine"
    assert to_frames(docs)["documents"].document_id.tolist() == ["doc:0", "mine"]


def test_meta_is_sorted_json_with_its_own_letters(blank) -> None:
    doc = blank("a")
    doc._.meta = {"z": "é", "a": [1, None]}
    assert to_frames([doc])["documents"].meta[0] == '{"a": [1, null], "z": "é"}'
