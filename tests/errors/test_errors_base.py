"""Every error of the package goes from one process to another and stays what it was."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

import pytest

from nlp_pipeline import errors
from nlp_pipeline.errors.base import NlpPipelineError, counted, did_you_mean
from nlp_pipeline.errors.cluster import UnknownExecutor
from nlp_pipeline.errors.config import PipelineNotFound, PromptTemplateNotFound
from nlp_pipeline.errors.data_set import SplitMissing
from nlp_pipeline.errors.export import UnknownTarget
from nlp_pipeline.errors.generation import ModelNotFound
from nlp_pipeline.errors.run_folder import ColumnNotFound, ReceiptDamaged, TableNotFound
from nlp_pipeline.errors.spacy_llm import UnknownTaskVersion
from nlp_pipeline.errors.training import LabelUnknown


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
