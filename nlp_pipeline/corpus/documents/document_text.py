"""The parts of a converted document, put together as one text, and what of it stands where.

The text is made of the parts and not taken from the library, so that the offsets are right by
construction: `text[start_char:end_char]` is the heading, the paragraph, the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_GAP = "\n\n"
_META = ("title", "subject", "authors", "keywords", "language", "created_at", "modified_at")
_LETTERS_KEPT = 0.5
"""Where the parts have less than this share of the letters of the whole, they are not all."""
_PICTURE = re.compile(r"!\[[^\]]*\]\((?:[^()]|\([^)]*\))*\)")
"""As the library writes it, which is no text."""


@dataclass
class LayoutText:
    """A text that grows by parts.

    Attributes:
        layout: What stands where: rows of the table `layout`, without the document's id.
    """

    layout: list[dict[str, Any]] = field(default_factory=list)
    _parts: list[str] = field(default_factory=list)
    _headings: list[tuple[int, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The parts so far; put together when asked for, as a long page has very many."""
        return _GAP.join(self._parts)

    def add(self, kind: str, text: str, **facts: Any) -> None:
        """Adds a part behind the others; white space alone is none.

        Args:
            kind: `heading`, `paragraph`, `table`, …
            text: The part.
            facts: `page`, `level` and `bbox`, where they are known.
        """
        text = text.rstrip().lstrip("\r\n") if kind == "code" else text.strip()
        if not text:
            return
        if kind == "heading":
            level = int(facts.get("level") or 1)
            self._headings = [h for h in self._headings if h[0] < level] + [(level, text)]
        start = self.layout[-1]["end_char"] + len(_GAP) if self.layout else 0
        self._parts.append(text)
        self.layout.append(
            {
                "kind": kind,
                "start_char": start,
                "end_char": start + len(text),
                "section": " / ".join(name for _, name in self._headings) or None,
                **{name: facts.get(name) for name in ("page", "level", "bbox")},
            }
        )

    def pages(self) -> list[dict[str, Any]]:
        """A row a page, from its first part to its last."""
        pages: dict[int, dict[str, Any]] = {}
        for part in self.layout:
            if (number := part["page"]) is not None:
                page = pages.setdefault(
                    number,
                    {**part, "kind": "page", "section": None, "level": None, "bbox": None},
                )
                page["end_char"] = part["end_char"]
        return list(pages.values())


def laid_out(result: Any, page: LayoutText | None = None) -> dict[str, Any]:
    """A result of the library as `text`, `meta` and `layout`.

    Args:
        result: kreuzberg's `ExtractionResult`, with its document structure.
        page: The text, where it was not the library that read it.
    """
    document = _parts_of(result) if page is None else page
    return {
        "text": document.text,
        "meta": document_meta(dict(result.metadata), document),
        "layout": document.pages() + document.layout,
    }


def _parts_of(result: Any) -> LayoutText:
    """The parts of a document, or all of it as one where they are not all."""
    document = LayoutText()
    pages = _PageFinder(result.content, dict(result.metadata))
    for node in (result.document or {}).get("nodes") or []:
        for kind, text, level in _parts(node):
            page = node.get("page") or pages.page_of(text)
            document.add(kind, text, page=page, level=level, bbox=_box(node.get("bbox")))
    content = _PICTURE.sub("", result.content)
    if _letters(document.text) < _LETTERS_KEPT * _letters(content):
        document = LayoutText()
        document.add("paragraph", content)
    return document


def _parts(node: Mapping[str, Any]) -> Iterator[tuple[str, str, int | None]]:
    """Kind, text and level of what a node adds to the text."""
    content = node.get("content") or {}
    kind = content.get("node_type", "")
    if kind == "table":
        yield "table", markdown_table(content.get("grid") or {}), None
    elif kind == "heading":
        yield "heading", one_line(content.get("text") or ""), content.get("level")
    elif kind == "list_item":
        yield "list_item", f"- {one_line(content.get('text') or '')}", None
    elif kind == "code":
        yield "code", content.get("text") or "", None
    elif kind != "group" and isinstance(content.get("text"), str):
        yield kind or "paragraph", one_line(content["text"]), None


def one_line(text: str) -> str:
    """A paragraph without the ends of its lines, which are where the page was too narrow."""
    return " ".join(text.split())


def markdown_table(grid: Mapping[str, Any]) -> str:
    """A table as Markdown, its first row as the header.

    Args:
        grid: `rows`, `cols` and `cells`, each with `row`, `col` and `content`.
    """
    n_rows, n_columns = int(grid.get("rows") or 0), int(grid.get("cols") or 0)
    rows = [[""] * n_columns for _ in range(n_rows)]
    for cell in grid.get("cells") or ():
        if cell["row"] < n_rows and cell["col"] < n_columns:
            rows[cell["row"]][cell["col"]] = one_line(cell.get("content") or "").replace("|", r"\|")
    if not any(any(row) for row in rows):
        return ""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|{' --- |' * n_columns}", *lines[1:]])


class _PageFinder:
    """Which page a part stands on, where the library says so of its own text alone.

    Args:
        content: The library's text.
        metadata: What it says of its pages: from which byte to which.
    """

    def __init__(self, content: str, metadata: Mapping[str, Any]) -> None:
        pages = metadata.get("pages") or {}
        self._boundaries = pages.get("boundaries") or [] if isinstance(pages, Mapping) else []
        self._content = content.encode("utf-8") if self._boundaries else b""
        self._position = 0

    def page_of(self, text: str) -> int | None:
        """The page of the next part; that of the last where it is not to be seen."""
        if not self._boundaries:
            return None
        place = self._content.find(text[:40].encode("utf-8"), self._position)
        self._position = self._position if place < 0 else place
        for boundary in self._boundaries:
            if self._position < boundary["byte_end"]:
                return int(boundary["page_number"])
        return int(self._boundaries[-1]["page_number"])


def _box(box: Mapping[str, float] | None) -> list[float] | None:
    return None if box is None else [float(box[name]) for name in ("x0", "y0", "x1", "y1")]


def _letters(text: str) -> int:
    return sum(char.isalnum() for char in text)


def document_meta(metadata: Mapping[str, Any], document: LayoutText) -> dict[str, Any]:
    """What the file says of itself, and what can be asked of it without the table `layout`."""
    core = metadata.get("core_properties") or {}
    facts = {name: metadata.get(name) or core.get(name) for name in _META}
    facts["authors"] = facts["authors"] or ([core["creator"]] if core.get("creator") else None)
    pages = metadata.get("pages")
    facts["pages"] = pages.get("total_count") if isinstance(pages, Mapping) else None
    text = document.text
    facts["headings"] = [
        text[part["start_char"] : part["end_char"]]
        for part in document.layout
        if part["kind"] == "heading"
    ]
    return {name: value for name, value in facts.items() if value}
