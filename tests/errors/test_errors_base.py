"""Every error of the package goes from one process to another and stays what it was."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import iter_modules

import pytest

from nlp_pipeline import errors
from nlp_pipeline.errors.base import NlpPipelineError, counted, did_you_mean
from nlp_pipeline.errors.cluster import UnknownExecutor
from nlp_pipeline.errors.config import PipelineNotFound, PromptTemplateNotFound
from nlp_pipeline.errors.data_set import SplitMissing
from nlp_pipeline.errors.distillation import few_labelled
from nlp_pipeline.errors.export import (
    UnknownTarget,
    answers_left_out_of_squad,
    spans_beyond_argilla,
    spans_left_out,
)
from nlp_pipeline.errors.generation import ModelNotFound
from nlp_pipeline.errors.review import reviews_outdated, texts_of_reviews_changed
from nlp_pipeline.errors.run import TooManyErrors, documents_tried_again, records_changed
from nlp_pipeline.errors.run_folder import (
    ColumnNotFound,
    DiskFull,
    ReceiptDamaged,
    TableNotFound,
    files_undigested,
)
from nlp_pipeline.errors.spacy_llm import UnknownTaskVersion
from nlp_pipeline.errors.training import LabelUnknown, TooFewDocuments


def error_classes() -> Iterator[type[NlpPipelineError]]:
    for module in iter_modules(errors.__path__):
        for value in vars(import_module(f"nlp_pipeline.errors.{module.name}")).values():
            if isinstance(value, type) and issubclass(value, NlpPipelineError):
                yield value


def test_errors_are_pickled_and_copied() -> None:
    classes = set(error_classes())
    assert ReceiptDamaged in classes
    for kind in classes:
        error = kind.__new__(kind, "What it says.")
        error.exit_status = [1]  # type: ignore[attr-defined]
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert (type(again), str(again), vars(again)) == (kind, str(error), vars(error))


@pytest.mark.parametrize("total", [None, 30])
def test_the_message_of_several_values_stays(total: int | None) -> None:
    error = ReceiptDamaged("runs/a", "3", "is missing", documents=20, total=total)
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, ReceiptDamaged)
    assert str(again) == str(error)
    assert "its receipt 3 is missing" in str(again)


def test_one_is_no_plural() -> None:
    assert [counted(n, "document") for n in (0, 1, 1200)] == [
        *("0 documents", "1 document", "1,200 documents")
    ]
    assert counted(2, "box", "boxes") == "2 boxes"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("tokne", " Did you mean 'token'?"),
        ("TEXT", " Did you mean 'Text'?"),
        ("zebra", ""),
        ("", ""),
    ],
)
def test_a_name_that_is_near(name: str, hint: str) -> None:
    assert did_you_mean(name, ["Text", "token", "text"]) == hint


def test_a_name_that_is_near_is_escaped() -> None:
    assert did_you_mean("abcdef", ["abcde\x1b"]) == r" Did you mean 'abcde\x1b'?"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ColumnNotFound("answers", "answerx", ["answer"]),
            "it has: answer. Did you mean 'answer'?",
        ),
        (TableNotFound("answersx", ["answers"]), "are: answers. Did you mean 'answers'?"),
        (UnknownTarget("parqet", ["parquet"]), "are: parquet. Did you mean 'parquet'?"),
        (SplitMissing("hf://datasets/a#trainn", ["train"], "trainn"), "Did you mean 'train'? Name"),
        (UnknownExecutor("localx", ["local"]), "are: local. Did you mean 'local'?"),
        (ModelNotFound("smol", ["smoll"]), "was not found. Did you mean 'smoll'? Give a folder"),
        (PipelineNotFound("en_qaa", ["en_qa"]), "Did you mean 'en_qa'? Give a path"),
        (PromptTemplateNotFound("qaa", ["qa"]), "Did you mean 'qa'? Give a path"),
        (LabelUnknown("d", "sprot", component="c", labels=["sport"]), "'sport'? Correct the label"),
        (UnknownTaskVersion("ner", "NER.v9", ["NER.v1"]), "are: NER.v1. Did you mean 'NER.v1'?"),
    ],
)
def test_names_that_are_nearly_right(error: NlpPipelineError, message: str) -> None:
    assert message in str(error)


def test_errors_count_in_the_singular_too() -> None:
    assert "is full. 1 document is safe. Make room" in str(DiskFull("a", 1))
    assert "is full. 2 documents are safe. Make room" in str(DiskFull("a", 2))
    assert "holds references for 1 document only" in str(TooFewDocuments("a", 1))
    assert "Stopped: 1 of 1 document failed (" in str(TooManyErrors(1, 1, None))
    assert "before it is 1 document. Nothing" in str(ReceiptDamaged("a", "0", "is", 1, total=None))
    assert "before it is 1 of 2 documents. N" in str(ReceiptDamaged("a", "0", "is", 1, total=2))


@pytest.mark.parametrize(
    ("text", "one", "two"),
    [
        (spans_left_out, "1 entity or span covers no token of its", "2 entities or spans cover"),
        (answers_left_out_of_squad, "1 question is left out: it fai", "2 questions are left out"),
        (spans_beyond_argilla, "1 piece of texts with", "2 pieces of texts with"),
        (texts_of_reviews_changed, "1 review is of a text", "2 reviews are of texts"),
        (reviews_outdated, "1 of the reviews is of a document", "2 of the reviews are of docum"),
        (files_undigested, "1 of the files has no digest", "2 of the files have no digest"),
        (records_changed, "1 record has changed and is", "2 records have changed and are"),
        (documents_tried_again, "1 document failed before and is", "2 documents failed before and"),
        (few_labelled, "1 labelled document is few", "2 labelled documents are few"),
    ],
)
def test_notes_count_in_the_singular_too(text: Callable[[int], str], one: str, two: str) -> None:
    assert text(1).startswith(one)
    assert text(2).startswith(two)
