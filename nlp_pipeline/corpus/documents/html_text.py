"""Pages of HTML and Markdown as text of which it is known what stands where.

The converter's own parts of a page leave out what stands in no paragraph (a `div`, a quotation, a
definition), so the page is read here: all that a reader of it would see, in its order.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from nlp_pipeline.corpus.documents.document_text import LayoutText, markdown_table, one_line
from nlp_pipeline.corpus.documents.html_elements import (
    APART,
    BLOCKS,
    CAPTIONS,
    HEADINGS,
    IMPLIED_ENDS,
    VOID,
    is_unseen,
    whole_number,
)

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n.*?\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_FOOTNOTE = re.compile(r"^(?= {0,3}\[\^[^\]\s]+\]:)", re.MULTILINE)
"""Where CommonMark would see the address of a link, and show nothing."""
_MOST_COLUMNS, _MOST_ROWS, _MOST_NUMBER = 1000, 100, 10**9
"""That a cell spans, and that a list begins with."""


def html_layout(page: str) -> LayoutText:
    """What a reader sees of a page of HTML; no scripts, styles, comments and hidden parts."""
    parser = _Page()
    parser.feed(page)
    parser.close()
    parser.end_block()
    return parser.document


def markdown_layout(text: str) -> LayoutText:
    """The same of Markdown, without the block of facts at its beginning."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    return html_layout(parser.render(_FOOTNOTE.sub("\\\\", _FRONT_MATTER.sub("", text))))


@dataclass
class _Table:
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
        self.row = max(self.row, 0)
        columns = range(_MOST_COLUMNS)
        column = next((c for c in columns if (self.row, c) not in self.filled), columns[-1])
        n_rows, n_columns = spans
        self.filled |= {
            (self.row + r, c) for r in range(n_rows) for c in range(column, column + n_columns)
        }
        self.text = []
        self.cells.append({"row": self.row, "col": column, "content": ""})

    def end_cell(self) -> None:
        if self.text is not None:
            self.cells[-1]["content"] = one_line("".join(self.text))
            self.text = None

    def markdown(self) -> str:
        n_rows = 1 + max(cell["row"] for cell in self.cells)
        n_columns = 1 + max(cell["col"] for cell in self.cells)
        return markdown_table({"rows": n_rows, "cols": n_columns, "cells": self.cells})


class _Page(HTMLParser):
    """Reads a page from its beginning to its end.

    Attributes:
        document: What was read.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.document = LayoutText()
        self._open: list[tuple[str, bool]] = []
        self._counts: Counter[str] = Counter()
        self._n_unseen = 0
        self._line: list[str] = []
        self._numbers: list[int | None] = []
        self._marker = ""
        self._is_after_break = False
        self._tables: list[_Table | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens an element, and ends the block before it."""
        facts = {name: value or "" for name, value in attrs}
        if tag in APART:
            self._take(" ")
        if tag in VOID:
            # Where two lines end with nothing between them, a paragraph does.
            if tag == "hr" or (tag == "br" and self._is_after_break and not self._counts["pre"]):
                self.end_block()
            elif tag == "br":
                self._take("\n")
            self._is_after_break = self._is_after_break or tag == "br"
            return
        self._end_implied(tag)
        if tag in BLOCKS:
            self.end_block()
        is_hidden = is_unseen(tag, facts)
        self._open.append((tag, is_hidden))
        self._counts[tag] += 1
        self._n_unseen += is_hidden
        if not self._n_unseen:
            self._begin(tag, facts)

    def _begin(self, tag: str, facts: dict[str, str]) -> None:
        table = self._tables[-1] if self._tables else None
        if tag in ("ul", "ol", "menu"):
            self._numbers.append(
                whole_number(facts.get("start"), _MOST_NUMBER) if tag == "ol" else None
            )
        elif tag == "li":
            number = self._numbers[-1] if self._numbers else None
            self._marker = "- " if number is None else f"{number}. "
            if number is not None:
                self._numbers[-1] = number + 1
        elif tag == "table":
            self._lay_out_tables()
            self._tables.append(_Table())
        elif tag == "tr" and table is not None:
            table.row += 1
        elif tag in ("td", "th") and table is not None:
            rows = whole_number(facts.get("rowspan"), _MOST_ROWS)
            table.begin_cell((rows, whole_number(facts.get("colspan"), _MOST_COLUMNS)))

    def handle_endtag(self, tag: str) -> None:
        """Closes an element with all that is open in it; one that is not open is passed over."""
        if self._counts[tag]:
            while self._close() != tag:
                pass

    def handle_data(self, data: str) -> None:
        """Takes text that is seen."""
        self._take(data)

    def _take(self, text: str) -> None:
        if not self._n_unseen:
            self._line.append(text)
            self._is_after_break = self._is_after_break and not text.strip()

    def _end_implied(self, tag: str) -> None:
        if tag in BLOCKS and self._counts["p"]:
            self.handle_endtag("p")
        ends, limits = IMPLIED_ENDS.get(tag, ((), ()))
        if not any(self._counts[name] for name in ends):
            return
        names = [name for name, _ in self._open]
        for depth in range(len(names) - 1, -1, -1):
            if names[depth] in limits:
                return
            if names[depth] in ends:
                while len(self._open) > depth:
                    self._close()
                if tag != "tr":
                    return

    def _close(self) -> str:
        tag, is_hidden = self._open[-1]
        if tag in APART:
            self._take(" ")
        if tag in BLOCKS:
            self.end_block()
        self._open.pop()
        self._counts[tag] -= 1
        was_seen = not self._n_unseen
        self._n_unseen -= is_hidden
        table = self._tables[-1] if self._tables else None
        if was_seen and tag in ("ul", "ol", "menu") and self._numbers:
            self._numbers.pop()
        elif was_seen and tag == "li":
            self._marker = ""
        elif was_seen and tag in ("td", "th") and table is not None:
            table.end_cell()
        elif was_seen and tag == "table" and self._tables:
            self._end_table(self._tables.pop())
        return tag

    def _end_table(self, table: _Table | None) -> None:
        if table is None or not table.cells:
            return
        table.end_cell()
        if len(table.cells) == 1:
            self.document.add("paragraph", table.cells[0]["content"])
        else:
            self.document.add("table", table.markdown())

    def _lay_out_tables(self) -> None:
        """Makes paragraphs of tables around another one: they say where it stands, and no more."""
        for place, table in enumerate(self._tables):
            if table is not None:
                table.end_cell()
                for cell in table.cells:
                    self.document.add("paragraph", cell["content"])
                self._tables[place] = None

    def end_block(self) -> None:
        """Adds the text since the last block, in a cell to the cell."""
        text, self._line = "".join(self._line), []
        table = self._tables[-1] if self._tables else None
        if table is not None and table.text is not None:
            table.text += [text, " "]
            return
        if not text.strip():
            return
        level = next((HEADINGS[name] for name in HEADINGS if self._counts[name]), None)
        if self._counts["pre"]:
            self.document.add("code", text.strip("\n"))
        elif level is not None:
            self.document.add("heading", one_line(text), level=level)
        elif self._marker:
            self.document.add("list_item", self._marker + one_line(text))
            self._marker = ""
        else:
            is_caption = any(self._counts[name] for name in CAPTIONS)
            self.document.add("caption" if is_caption else "paragraph", one_line(text))
