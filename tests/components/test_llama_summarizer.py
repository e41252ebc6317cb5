from __future__ import annotations

import json
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from nlp_pipeline.errors.config import InvalidSetting, PromptTemplateInvalid

ECHO = {"@llama_generators": "nlp_pipeline.echo.v1", "fail_on": "UNSPEAKABLE"}


def build(**config: Any) -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("llama_summarizer", config={"generator": ECHO, **config})
    return nlp


def test_a_summary_and_its_figures() -> None:
    doc = build(max_new_tokens=3)("Anna left Oslo.")
    assert doc._.summary == "in 2 sentences."
    (sentence,) = doc._.summary_details.pop("sentences")
    assert (sentence["text"], sentence["grounded"]) == ("in 2 sentences.", "none")
    assert doc._.summary_details == {
        "component": "llama_summarizer",
        "summary": "in 2 sentences.",
        "status": "ok",
        "support_score": 0.0,
        "unsupported_entities": [],
        "unsupported_numbers": ["2"],
        "n_chunks": 1,
        "rounds": 0,
        "finish_reason": "stop",
        "mean_logprob": 0.0,
        "min_logprob": 0.0,
        "first_token_prob": 1.0,
        "sum_logprob": 0.0,
        "prompt_tokens": 10,
        "reused_tokens": 0,
        "output_tokens": 3,
        "reasoning": None,
        "reasoning_tokens": None,
        "model": "echo",
        "error": None,
    }
    assert doc._.answers == []


@pytest.mark.parametrize(("sentences", "said"), [(1, "in one sentence."), (5, "in 5 sentences.")])
def test_the_model_is_told_how_long(sentences: int, said: str) -> None:
    assert build(max_sentences=sentences, max_new_tokens=3)("a")._.summary == said


def test_failures_contexts_and_order() -> None:
    nlp, calls = build(), []
    nlp.set_error_handler(lambda name, pipe, docs, error: calls.append([d.text for d in docs]))
    pairs = [("a", 1), ("UNSPEAKABLE", 2), ("c", 3)]
    done = list(nlp.pipe(pairs, as_tuples=True))
    assert [(doc.text, context) for doc, context in done] == pairs
    assert [doc._.summary_details["status"] for doc, _ in done] == ["ok", "error", "ok"]
    assert [doc._.summary is None for doc, _ in done] == [False, True, False]
    assert [len(doc._.errors) for doc, _ in done] == [0, 1, 0]
    assert done[1][0]._.errors[0]["question_id"] == "summary"
    assert calls == [["UNSPEAKABLE"]]


def test_survives_bytes_and_doc_bin() -> None:
    nlp = build()
    for doc in nlp.pipe(["Anna left.", "UNSPEAKABLE"]):
        copy = Doc(nlp.vocab).from_bytes(doc.to_bytes())
        (other,) = DocBin(docs=[doc], store_user_data=True).get_docs(nlp.vocab)
        assert copy._.summary == other._.summary == doc._.summary
        details = json.dumps(doc._.summary_details)  # a DocBin makes tuples of lists
        assert json.dumps(copy._.summary_details) == details
        assert json.dumps(other._.summary_details) == details


@pytest.mark.parametrize("value", [0, -1])
def test_a_length_that_cannot_be(value: int) -> None:
    with pytest.raises(InvalidSetting) as caught:
        build(max_sentences=value)
    assert str(caught.value) == (
        f"components.llama_summarizer.max_sentences is {value!r} and must be an integer of at "
        "least 1."
    )


def test_a_template_of_another_component() -> None:
    with pytest.raises(PromptTemplateInvalid, match="it uses 'question', and there is: max_sent"):
        build(template="qa.v1")


def test_a_blank_summary_is_no_answer() -> None:
    from nlp_pipeline.generation.interface import Completion

    nlp = build()
    pipe: Any = nlp.get_pipe("llama_summarizer")
    blank = Completion("a", " \n", (5,), (-1.0,), "stop", 3)
    result = pipe.predict(nlp.make_doc("a"), {"summary": blank})
    assert (result.details["status"], result.details["summary"]) == ("no_answer", None)
