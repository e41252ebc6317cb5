"""Pages of HTML as text of which it is known what stands where.

The converter's own parts of a page leave out what stands in no paragraph (a `div`, a quotation, a
definition), so the page is read here: all that a reader of it would see, in its order.
"""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

from nlp_pipeline.corpus.documents.document_text import LayoutText, one_line
from nlp_pipeline.corpus.documents.html_elements import (
    APART,
    BLOCKS,
    CAPTIONS,
    CELLS,
    HEADINGS,
    IMPLIED_ENDS,
    TABLE_PARTS,
    VOID,
    is_unseen,
    whole_number,
)
from nlp_pipeline.corpus.documents.html_table import MOST_COLUMNS, MOST_ROWS, PageTable

_COMMENT_END = re.compile(r"--!?>")
_MOST_NUMBER = 10**9
"""That a list begins with."""


def html_layout(page: str) -> LayoutText:
    """What a reader sees of a page of HTML; no scripts, styles, comments and hidden parts."""
    parser = _Page()
    parser.feed(page.replace("\0", ""))  # as browsers do
    parser.close()
    return parser.document


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
        self._tables: list[PageTable | None] = []

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
            if number is not None and "value" in facts:
                number = whole_number(facts["value"], _MOST_NUMBER)
            self._marker = "- " if number is None else f"{number}. "
            if number is not None:
                self._numbers[-1] = number + 1
        elif tag == "table":
            self._lay_out_tables()
            self._tables.append(PageTable())
        elif tag == "tr" and table is not None:
            table.row += 1
        elif tag in ("td", "th") and table is not None:
            rows = whole_number(facts.get("rowspan"), MOST_ROWS)
            table.begin_cell((rows, whole_number(facts.get("colspan"), MOST_COLUMNS)))

    def handle_endtag(self, tag: str) -> None:
        """Closes an element with all that is open in it; one that is not open is passed over."""
        depth = self._depth_of(tag)
        if depth is not None:
            while len(self._open) > depth:
                self._close()
        elif tag == "p":  # browsers take it for an empty paragraph
            self.end_block()
        elif tag == "br":
            self.handle_starttag("br", [])

    def _depth_of(self, tag: str) -> int | None:
        """Where the element lies that an end tag closes; None where it closes nothing.

        As in browsers, any heading closes the one that is open, nothing is closed from within a
        cell that the cell stands in, and what stands in a line closes no block.
        """
        names = HEADINGS if tag in HEADINGS else (tag,)
        if not any(self._counts[name] for name in names):
            return None
        limits = ("table",) if tag in TABLE_PARTS else CELLS
        has_block = False
        for depth in range(len(self._open) - 1, -1, -1):
            name, is_hidden = self._open[depth]
            if name in names:
                return None if has_block and tag not in BLOCKS and not is_hidden else depth
            if name in limits:
                return None
            has_block = has_block or name in BLOCKS
        return None

    def parse_comment(self, i: int, report: bool = True) -> int:
        """Passes over a comment, which ends as in browsers: all Pythons read them otherwise."""
        for empty in ("<!-->", "<!--->"):
            if self.rawdata.startswith(empty, i):
                return i + len(empty)
        match = _COMMENT_END.search(self.rawdata, i + len("<!--"))
        return match.end() if match else len(self.rawdata)

    def parse_marked_section(self, i: int, report: bool = True) -> int:
        """Passes over `<![…]>`, of an unknown kind too, where Python 3.11 breaks off."""
        try:
            return super().parse_marked_section(i, report)
        except AssertionError:
            return self.parse_bogus_comment(i)

    def close(self) -> None:
        """Ends the page, and all that is open in it."""
        super().close()
        while self._open:
            self._close()
        self.end_block()

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
        if tag in HEADINGS and self._open and self._open[-1][0] in HEADINGS:
            self._close()
        ends, limits = IMPLIED_ENDS.get(tag, ((), ()))
        if not any(self._counts[name] for name in ends):
            return
        for depth in range(len(self._open) - 1, -1, -1):
            name = self._open[depth][0]
            if name in limits:
                return
            if name in ends:
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

    def _end_table(self, table: PageTable | None) -> None:
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
