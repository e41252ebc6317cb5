"""A table of a page of HTML, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nlp_pipeline.corpus.documents.document_text import markdown_table, one_line

MOST_COLUMNS, MOST_ROWS = 1000, 100
"""That a cell spans."""


@dataclass
class PageTable:
    """A table whose cells are still read.

    Attributes:
        cells: As `markdown_table` takes them.
        row: The number of the row.
        filled: Places that a cell of an earlier row or column reaches into.
        text: Of the cell that is open; None between cells.
    """

    cells: list[dict[str, Any]] = field(default_factory=list)
    row: int = -1
    filled: set[tuple[int, int]] = field(default_factory=set)
    text: list[str] | None = None

    def begin_cell(self, spans: tuple[int, int]) -> None:
        """Opens a cell in the next free place, over so many rows and columns."""
        self.row = max(self.row, 0)
        columns = range(MOST_COLUMNS)
        column = next((c for c in columns if (self.row, c) not in self.filled), columns[-1])
        n_rows, n_columns = spans
        self.filled |= {
            (self.row + r, c) for r in range(n_rows) for c in range(column, column + n_columns)
        }
        self.text = []
        self.cells.append({"row": self.row, "col": column, "content": ""})

    def end_cell(self) -> None:
        """Keeps the text of the cell that is open, if one is."""
        if self.text is not None:
            self.cells[-1]["content"] = one_line("".join(self.text))
            self.text = None

    def markdown(self) -> str:
        """The table as a part of a text."""
        n_rows = 1 + max(cell["row"] for cell in self.cells)
        n_columns = 1 + max(cell["col"] for cell in self.cells)
        return markdown_table({"rows": n_rows, "cols": n_columns, "cells": self.cells})
