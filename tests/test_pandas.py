"""`df.nlp.ask`: answers in the frame's order, under its index."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import nlp_pipeline.pandas
from nlp_pipeline.errors.corpus import NoFrameColumn, QuestionsUnusable

OPTIONS = ("components.llama_qa.fallback_questions=true",)


def ask(frame: pd.DataFrame, *arguments: Any, **options: Any) -> pd.DataFrame:
    accessor = frame.nlp
    assert isinstance(accessor, nlp_pipeline.pandas.NlpAccessor)
    return accessor.ask(*arguments, settings=OPTIONS, **options)


@pytest.fixture
def frame() -> pd.DataFrame:
    """Rows out of order, a label twice, one without a text and one that the echo fails on."""
    texts = ["Ada left.", None, "Grace stayed.", "It is UNSPEAKABLE."]
    return pd.DataFrame({"body": texts, "n": [1, 2, 3, 4]}, index=[9, 3, 3, 7])


def test_columns_come_back_in_order_and_index(frame: pd.DataFrame, quick) -> None:
    answers = ask(frame, "body", ["Who left?", "Who stayed?"], quick())
    assert list(answers.columns) == ["Who left?", "Who stayed?"]
    assert answers.index.tolist() == [9, 3, 3, 7]
    # The echo says the last words of the prompt, which are those of the question.
    assert [isinstance(answer, str) for answer in answers["Who left?"]] == [
        True,
        False,
        True,
        False,
    ]
    assert answers["Who left?"].iloc[0] != answers["Who stayed?"].iloc[0]
    assert frame.columns.tolist() == ["body", "n"]
    joined = pd.concat([frame, answers], axis=1)
    assert joined.shape == (4, 4)


def test_names_and_details(frame: pd.DataFrame, quick, caplog) -> None:
    answers = ask(frame, "body", {"who": "Who left?"}, quick(), details=True)
    assert list(answers.columns) == [
        "who",
        *(f"who.{name}" for name in ("status", "start_char", "end_char", "confidence", "error")),
    ]
    assert answers["who.status"].tolist() == ["ok", "error", "ok", "error"]
    assert answers["who.error"].iloc[1] == (
        "records:2 has null as its 'text'. Give it a text or leave the record out."
    )
    assert caplog.messages[-1] == (
        "2 of 4 rows failed and have no answer; details=True gives a column that says why."
    )


def test_an_empty_frame_has_the_columns(quick) -> None:
    empty = pd.DataFrame({"body": []})
    assert ask(empty, "body", ["Who?"], quick()).columns.tolist() == ["Who?"]
    assert len(ask(empty, "body", ["Who?"], quick())) == 0


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ("Who?", r"^The questions are one text\. Give a list such as \[\"Who is named\?\"\], each"),
        ([], r"^There are no questions\."),
        (["Who?", "Who?"], r"^'Who\?' stands there twice\."),
        (["Who?", ""], r"^'' is no question\."),
        ([5], r"^5 is no question\."),
    ],
)
def test_questions_that_are_none(frame: pd.DataFrame, questions: Any, message: str) -> None:
    with pytest.raises(QuestionsUnusable, match=message):
        ask(frame, "body", questions)


def test_columns_that_are_none(frame: pd.DataFrame) -> None:
    with pytest.raises(NoFrameColumn, match=r"^The frame has no column 'text'; it has: body, n\."):
        ask(frame, "text", ["Who?"])
    twice = pd.concat([frame, frame], axis=1)
    with pytest.raises(NoFrameColumn, match=r"^The frame has 2 columns 'body'; it has: body, n, b"):
        ask(twice, "body", ["Who?"])
