"""A spaCy component that is asked before the Llama, in `llama_classifier` and `llama_extractor`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import spacy
from small_students import saved_spancat, saved_textcat
from spacy.language import Language

from nlp_pipeline import to_frames
from nlp_pipeline.components.first_labels import FirstLabels
from nlp_pipeline.components.first_values import FirstValues
from nlp_pipeline.errors.cascade import (
    FirstCannotFill,
    FirstLabelsDiffer,
    FirstLacksComponent,
    FirstNotLoaded,
)
from nlp_pipeline.errors.config import InvalidSetting

ECHO = {"@llama_generators": "nlp_pipeline.echo.v1"}
LABELS = ["sport", "money"]
FORM = {
    "type": "object",
    "properties": {"who": {"type": ["string", "null"]}},
    "required": ["who"],
}
SURE, UNSURE = "The goal, goal, goal.", "It rained."


@pytest.fixture(scope="module")
def textcat(tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved_textcat(tmp_path_factory.mktemp("textcat"))


@pytest.fixture(scope="module")
def spancat(tmp_path_factory: pytest.TempPathFactory) -> str:
    return saved_spancat(tmp_path_factory.mktemp("spancat"))


def classifier(first: str | None, **settings: Any) -> Language:
    nlp = spacy.blank("xx")
    nlp.add_pipe(
        "llama_classifier",
        config={"labels": LABELS, "generator": ECHO, "first": first, **settings},
    )
    return nlp


def extractor(first: str | None, **settings: Any) -> Language:
    nlp = spacy.blank("xx")
    nlp.add_pipe(
        "llama_extractor",
        config={"schema": FORM, "generator": ECHO, "first": first, **settings},
    )
    return nlp


class TestClassifier:
    def test_the_sure_are_answered_by_it_and_the_others_by_the_llama(self, textcat: str) -> None:
        docs = list(classifier(textcat, first_threshold=0.7).pipe([SURE, UNSURE, SURE]))
        rows = to_frames(docs)["classifications"]
        assert rows["model"].tolist() == [textcat, "echo", textcat]
        assert rows["prompt_tokens"].tolist()[0] == 0
        assert rows["prompt_tokens"].tolist()[1] > 0
        assert list(rows["labels"][0]) == ["sport"]
        assert rows["status"].tolist()[0] == "ok"
        alone = spacy.load(textcat)(SURE).cats
        assert docs[0].cats == pytest.approx(alone)

    def test_what_it_is_not_sure_of_is_as_without_it(self, textcat: str) -> None:
        with_first = classifier(textcat, first_threshold=1.0)(SURE)
        assert with_first.cats == classifier(None)(SURE).cats

    def test_a_threshold_of_0_asks_no_llama_and_one_is_the_default(self, textcat: str) -> None:
        (row,) = classifier(textcat, first_threshold=0)(UNSURE)._.classifications
        assert row["model"] == textcat
        pipe: Any = classifier(textcat).get_pipe("llama_classifier")
        assert pipe._first_threshold == 0.9

    def test_a_text_without_words_is_asked_of_nobody(self, textcat: str) -> None:
        (row,) = classifier(textcat, first_threshold=0)(" \n")._.classifications
        assert (row["status"], row["model"]) == ("no_answer", None)

    def test_to_disk(self, textcat: str, tmp_path: Path) -> None:
        nlp = classifier(textcat, first_threshold=0.7)
        nlp.to_disk(tmp_path)
        (row,) = spacy.load(tmp_path)(SURE)._.classifications
        assert row["model"] == textcat

    def test_certainty(self, textcat: str) -> None:
        one = FirstLabels("first", textcat, labels=LABELS, is_multi_label=False)
        assert one.certainty({"sport": 0.7, "money": 0.3}) == 0.7
        one._is_multi_label = True
        assert one.certainty({"sport": 0.9, "money": 0.4}) == pytest.approx(0.6)


class TestExtractor:
    def test_the_sure_are_filled_in_by_it(self, spancat: str) -> None:
        doc = extractor(spancat, first_threshold=0.6)("Then Anna Berg came")
        (row,) = doc._.extractions
        assert (row["model"], row["status"]) == (spancat, "ok")
        assert doc._.extraction == {"who": "Anna Berg"}
        (value,) = row["fields"]
        assert (value["alignment"], value["start_char"], value["end_char"]) == ("exact", 5, 14)

    def test_that_there_is_none_can_be_sure_too(self, spancat: str) -> None:
        doc = extractor(spancat, first_threshold=0.6)("It rained here")
        (row,) = doc._.extractions
        assert (row["model"], row["status"]) == (spancat, "no_answer")
        assert doc._.extraction == {"who": None}

    def test_the_unsure_are_the_llamas(self, spancat: str) -> None:
        (row,) = extractor(spancat, first_threshold=1)("Then Anna Berg came")._.extractions
        assert row["model"] == "echo"

    def test_what_the_schema_forbids_is_the_llamas(self, spancat: str) -> None:
        form = {**FORM, "properties": {"who": {"type": "string"}}}
        nlp = extractor(spancat, schema=form, first_threshold=0.6)
        assert nlp("It rained here")._.extractions[0]["model"] == "echo"
        assert nlp("Then Anna Berg came")._.extractions[0]["model"] == spancat

    def test_lists_of_texts(self, spancat: str) -> None:
        form = {"properties": {"who": {"type": "array", "items": {"type": "string"}}}}
        first = FirstValues("first", spancat, form)
        value, certainty = first.extraction("Then Anna Berg came")
        assert value == {"who": ["Anna Berg"]}
        assert certainty > 0.6


QUESTIONS = [{"id": "who", "text": "Who came?"}, {"id": "why", "text": "Why?"}]


def questioner(first: str | None, **settings: Any) -> Language:
    nlp = spacy.blank("xx")
    nlp.add_pipe(
        "llama_qa",
        config={"questions": QUESTIONS, "generator": ECHO, "first": first, **settings},
    )
    return nlp


class TestQuestions:
    @pytest.mark.parametrize("text", ["Then Anna Berg came", "It rained here"])
    def test_the_sure_are_answered_by_it_question_by_question(
        self, spancat: str, text: str
    ) -> None:
        doc = questioner(spancat, first_threshold=0.6)(text)
        who, why = doc._.answers
        assert (who["model"], why["model"]) == (spancat, "echo")
        if "Anna" in text:
            assert (who["answer"], who["status"], who["alignment"]) == ("Anna Berg", "ok", "exact")
            assert doc.spans["answers"][0].text == "Anna Berg"
            assert who["confidence"] > 0.6
        else:
            assert (who["answer"], who["status"]) == (None, "no_answer")
        assert why == questioner(None)(text)._.answers[1]
        assert to_frames([doc])["answers"]["prompt_tokens"].tolist()[0] == 0

    def test_the_unsure_and_a_documents_own_are_the_llamas(self, spancat: str) -> None:
        nlp = questioner(spancat, first_threshold=1)
        assert [a["model"] for a in nlp("Then Anna Berg came")._.answers] == ["echo", "echo"]
        nlp = questioner(spancat, first_threshold=0, fallback_questions=True)
        doc = nlp.make_doc("Then Anna Berg came")
        doc._.questions = [{"id": "who", "text": "Who else?"}]
        assert [a["model"] for a in nlp(doc)._.answers] == ["echo"]

    def test_none_of_its_questions(self, spancat: str) -> None:
        with pytest.raises(FirstLabelsDiffer, match=r"llama_qa\.first.*lacks: why"):
            questioner(spancat, questions=QUESTIONS[1:])


class TestRefusals:
    def test_no_pipeline(self, tmp_path: Path) -> None:
        with pytest.raises(FirstNotLoaded, match=r"components\.llama_classifier\.first: .*nowhere"):
            classifier(str(tmp_path / "nowhere"))

    def test_no_such_component(self, textcat: str, spancat: str) -> None:
        with pytest.raises(FirstLacksComponent, match=r"has no textcat; it has: spancat\."):
            classifier(spancat)
        with pytest.raises(FirstLacksComponent, match=r"no textcat_multilabel.*Several labels"):
            classifier(textcat, multi_label=True)
        with pytest.raises(FirstLacksComponent, match=r"no spancat; .*`ner` gives no prob"):
            extractor(textcat)

    def test_other_labels(self, textcat: str, spancat: str) -> None:
        with pytest.raises(FirstLabelsDiffer, match=r"lacks: art\. It has beside: money"):
            classifier(textcat, labels=["sport", "art"])
        form = {"type": "object", "properties": {"whom": {"type": "string"}}}
        with pytest.raises(FirstLabelsDiffer, match=r"lacks: whom\. It has beside: who\."):
            extractor(spancat, schema=form)

    def test_a_form_with_other_values_than_texts(self, spancat: str) -> None:
        form = {**FORM, "properties": {**FORM["properties"], "year": {"type": "integer"}}}  # type: ignore[dict-item]
        with pytest.raises(FirstCannotFill, match="no lists of texts: year"):
            extractor(spancat, schema=form)

    @pytest.mark.parametrize("value", [-0.1, 1.5, True, "high"])
    def test_a_threshold_that_is_none(self, textcat: str, value: Any) -> None:
        with pytest.raises((InvalidSetting, ValueError), match="first_threshold"):
            classifier(textcat, first_threshold=value)
