"""Every error of the package goes from one process to another and stays what it was."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

import pytest

from nlp_pipeline import errors
from nlp_pipeline.errors.base import NlpPipelineError
from nlp_pipeline.errors.run_folder import ReceiptDamaged


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
