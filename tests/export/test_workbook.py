"""A run as an Excel workbook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline.errors.export import SheetFull
from nlp_pipeline.export import workbook
from nlp_pipeline.export.job import export_run

openpyxl: Any = pytest.importorskip("openpyxl")


def test_texts_are_texts_and_numbers_are_numbers(meta_run: Path, tmp_path: Path, caplog) -> None:
    (file,) = export_run(
        meta_run, tmp_path / "run.xlsx", "xlsx", ["documents", "answers"], flatten_meta=True
    )
    book = openpyxl.load_workbook(file)
    assert book.sheetnames == ["documents", "answers"]
    header, *rows = book["documents"].iter_rows()
    names = [cell.value for cell in header]
    first, second, third, last = (dict(zip(names, row, strict=True)) for row in rows)
    assert (first["text"].value, first["text"].data_type) == ("=1+1 said Ada.", "s")
    assert (second["n_chars"].value, second["meta.n"].value) == (24, 2.5)
    assert second["meta.ok"].value is True
    assert third["text"].value == ("A\ufffdB " + "long " * 7000)[:32_767]
    assert (last["text"].value, last["status"].value) == (None, "error")
    assert caplog.messages[0] == (
        "documents: 1 text was changed for the workbook, which holds at most 32,767 characters "
        "a cell and no control characters; the other forms have them whole."
    )


def test_a_table_that_no_sheet_can_hold(meta_run: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(workbook, "MOST_ROWS", 3)
    with pytest.raises(SheetFull, match=r"'documents' has 4 rows and a sheet of .* at most 3\."):
        export_run(meta_run, tmp_path / "run.xlsx", "xlsx", ["documents"])
    assert list(tmp_path.iterdir()) == []
