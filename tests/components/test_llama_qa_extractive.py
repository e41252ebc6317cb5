from __future__ import annotations

import math
from pipes import llama_qa_of
from typing import Any

import pytest
import spacy
from spacy.tokens import Doc

from nlp_pipeline.chunking import Passage
from nlp_pipeline.errors import InvalidSamplingParams
from nlp_pipeline.errors.config import InvalidSetting, QuestionsInvalid
from nlp_pipeline.generation.interface import Completion, SamplingParams

ECHO = {"@llama_generators": "nlp_pipeline.echo.v1", "fail_on": "UNSPEAKABLE"}
TEXT = "Ada Lovelace met (Charles)\nBabbage in 1833. In 1833 she was 17."
TEXTS = {
    "en": TEXT,
    "fr": "L’inventrice Zoé Lefèvre n’a gagné que 12 €.",
    "zh": "王小明在北京大学读书😀。",
}


def build(tiny_llama: str, language: str = "en", **config: Any) -> spacy.Language:
    generator = {
        "@llama_generators": "nlp_pipeline.Llama.v1",
        "model": tiny_llama,
        "device": "cpu",
        "dtype": "float64",
        "threads": 1,
        "max_seq_len": 1024,
    }
    nlp = spacy.blank(language)
    settings: dict[str, Any] = {"mode": "extractive", "generator": generator, "questions": ["Who?"]}
    settings["answerable_threshold"] = 0.0  # random weights believe in no answer
    nlp.add_pipe("llama_qa", config={**settings, **config})
    return nlp


def short(tmp_path: Any) -> str:
    """The tiny model's context holds no long prompt."""
    path = tmp_path / "short.jinja"
    path.write_text(
        "{% block user %}{{ text }} {{ question }}{% endblock %}"
        "{% block answer_prefix %}Answer:{% endblock %}"
    )
    return str(path)


@pytest.mark.parametrize("num_beams", [1, 3])
@pytest.mark.parametrize("language", sorted(TEXTS))
def test_an_answer_is_a_piece_of_the_document(
    tiny_llama: str, tmp_path: Any, language: str, num_beams: int
) -> None:
    more = {"num_beams": num_beams, "template": short(tmp_path), "no_answer_margin": 1e9}
    nlp = build(tiny_llama, language, questions=["Who?", "When?"], **more)
    for limit in (2, 32):
        llama_qa_of(nlp).params = SamplingParams(
            max_new_tokens=limit, num_beams=num_beams, length_penalty=0.0
        )
        doc = nlp(TEXTS[language])
        for answer in doc._.answers:
            if answer["status"] == "no_answer":  # the budget ended inside the first token
                assert (limit, answer["finish_reason"]) == (2, "length")
                continue
            assert (answer["status"], answer["alignment"]) == ("ok", "exact")
            start, end = answer["start_char"], answer["end_char"]
            assert doc.text[start:end] == answer["answer"]
            assert doc.char_span(start, end) is not None
            assert answer["masked_logprob"] <= 0
            assert 0 <= answer["no_answer_prob"] <= 1


def test_the_margin_decides_whether_there_is_an_answer(tiny_llama: str, tmp_path: Any) -> None:
    template = short(tmp_path)
    (sure,) = build(tiny_llama, no_answer_margin=1e9, template=template)(TEXT)._.answers
    (never,) = build(tiny_llama, no_answer_margin=-1e9, template=template)(TEXT)._.answers
    assert (sure["status"], never["status"], never["answer"]) == ("ok", "no_answer", None)
    assert sure["no_answer_prob"] == pytest.approx(never["no_answer_prob"])
    gap = math.log(sure["no_answer_prob"]) - sure["sum_logprob"]
    for margin, status in ((gap + 1e-6, "ok"), (gap - 1e-6, "no_answer")):
        nlp = build(tiny_llama, no_answer_margin=margin, template=template)
        assert nlp(TEXT)._.answers[0]["status"] == status


@pytest.mark.parametrize("text", ["", " \n\t "])
def test_a_document_without_words_has_no_answer(tiny_llama: str, tmp_path: Any, text: str) -> None:
    (answer,) = build(tiny_llama, template=short(tmp_path))(text)._.answers
    assert (answer["status"], answer["answer"], answer["error"]) == ("no_answer", None, None)


def test_a_document_of_one_token_has_one_answer(tiny_llama: str, tmp_path: Any) -> None:
    nlp = build(tiny_llama, template=short(tmp_path), no_answer_margin=1e9)
    (answer,) = nlp("Ada")._.answers
    assert (answer["answer"], answer["start_char"], answer["end_char"]) == ("Ada", 0, 3)


def test_an_answer_may_go_on_over_a_line_break() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("llama_qa", config={"mode": "extractive", "generator": ECHO})
    doc, completion = nlp.make_doc(TEXT), Completion("", " (Charles) Babbage", (), (), "stop", 0)
    extractive = llama_qa_of(nlp).extractive
    assert extractive is not None
    (mention,) = extractive.mentions(doc, completion, Passage.whole(doc))
    assert doc[mention.start : mention.end].text == "(Charles)\nBabbage"


def test_the_chunks_of_a_long_document_are_asked_for_their_own_pieces(
    tiny_llama: str, tmp_path: Any
) -> None:
    text = " ".join(
        f"Ship {i} left harbour {i * 7}\nwith {i + 3} (brave) sailors." for i in range(40)
    )
    more: dict[str, Any] = {"chunk_tokens": 60, "chunk_overlap": 0, "template": short(tmp_path)}
    nlp = build(tiny_llama, questions=["Who left?", "When?"], no_answer_margin=1e9, **more)
    nlp.add_pipe("sentencizer", first=True)
    doc = nlp(text)
    assert len(doc._.chunks) > 3
    for answer in doc._.answers:
        assert (answer["status"], answer["alignment"]) == ("ok", "exact")
        assert answer["n_chunks"] == len(doc._.chunks) >= len(answer["asked_chunks"]) >= 3
        assert 0 <= answer["no_answer_prob"] <= 1
        chunk = doc._.chunks[answer["chunk_id"]]
        start, end = answer["start_char"], answer["end_char"]
        assert chunk["start_char"] <= start < end <= chunk["end_char"]
        assert doc.text[start:end] == answer["answer"]
        assert doc.char_span(start, end) is not None


def test_chunks_without_an_answer_are_no_end_of_the_search(tiny_llama: str, tmp_path: Any) -> None:
    text = " ".join(f"Ship {i} left harbour {i * 7}." for i in range(40))
    more: dict[str, Any] = {"chunk_tokens": 60, "chunk_overlap": 0, "template": short(tmp_path)}
    nlp = build(tiny_llama, no_answer_margin=-1e9, **more)
    nlp.add_pipe("sentencizer", first=True)
    (answer,) = nlp(text)._.answers
    assert (answer["status"], answer["chunk_id"]) == ("no_answer", None)
    assert len(answer["asked_chunks"]) == answer["n_chunks"] > 3


def test_two_requests_that_fail_are_one_failure() -> None:
    nlp = spacy.blank("en")
    config = {"mode": "extractive", "generator": ECHO, "questions": ["Say UNSPEAKABLE", "Who?"]}
    nlp.add_pipe("llama_qa", config=config)
    doc: Doc = nlp("Ada found it.")
    assert [answer["status"] for answer in doc._.answers] == ["error", "ok"]
    assert [error["question_id"] for error in doc._.errors] == ["q1"]


def test_an_empty_question_is_refused(tiny_llama: str) -> None:
    with pytest.raises(QuestionsInvalid, match="has no text"):
        build(tiny_llama, questions=["  "])


@pytest.mark.parametrize(
    ("setting", "value", "error", "message"),
    [
        ("mode", "abstractive", InvalidSetting, "'free', 'extractive' or 'auto'"),
        ("no_answer", " ", InvalidSetting, "one line of text"),
        ("no_answer", "not\nhere", InvalidSetting, "one line of text"),
        ("num_beams", 0, InvalidSamplingParams, "num_beams=0"),
        ("temperature", 0.5, InvalidSamplingParams, "temperature=0.5 .* with num_beams=3"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(
    tiny_llama: str, setting: str, value: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build(tiny_llama, **{setting: value})
