"""Documents that docling converts, put together as text of which it is known what stands where."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from nlp_pipeline.corpus.documents.document_text import (
    LayoutText,
    document_meta,
    markdown_table,
    one_line,
)

PDF = "application/pdf"
_SUFFIXES = {"text/html": ".html"}
_KINDS = {"section_header": "heading", "title": "heading", "text": "paragraph"}
"""What docling calls otherwise than the table `layout`."""
_OFFICE_UNITS_A_POINT = 12_700
_BEFORE_MARK = re.compile(r"\s+(?=[.,;:!?)\]}](?:\s|$))")
_CORE_PROPERTIES = "docProps/core.xml"
_PROPERTIES = {"title": "title", "subject": "subject", "keywords": "keywords", "creator": "author"}


class ConverterFailed(Exception):
    """Docling cannot be loaded, or its models cannot: no document can be converted."""


def converted_by_docling(
    path: str | None, data: bytes, mime: str, models: str | None = None
) -> dict[str, Any]:
    """A document as text, with what is known of it and where its parts stand.

    Args:
        path: Of the file; None for `data`.
        data: The document, where it is no file.
        mime: Its type.
        models: The folder of the models for a PDF.

    Returns:
        `text`, `meta` and `layout`.

    Raises:
        ConverterFailed: The library or its models cannot be loaded.
        Exception: Whatever the library raises about a document.
    """
    converter = _converter(mime, models)
    facts = _facts(path, mime)
    from docling.datamodel.base_models import ConversionStatus
    from docling.datamodel.document import DocumentStream

    source: Any = path
    if path is None:
        source = DocumentStream(name=f"page{_SUFFIXES[mime]}", stream=io.BytesIO(data))
    try:
        result = converter.convert(source)
    except Exception as error:
        # Docling's own says the path of the file, and that it failed; the cause says why.
        raise error.__cause__ or error from None
    if result.status != ConversionStatus.SUCCESS:
        raise ValueError("; ".join(error.error_message for error in result.errors) or result.status)
    return docling_laid_out(result.document, facts, is_office="officedocument" in mime)


@cache
def _converter(mime: str, models: str | None) -> Any:
    """Docling for documents of a type, with its models loaded."""
    try:
        from docling.datamodel.accelerator_options import AcceleratorOptions
        from docling.datamodel.base_models import InputFormat
        from docling.datamodel.pipeline_options import PdfPipelineOptions
        from docling.document_converter import DocumentConverter, PdfFormatOption

        # The limit of address space leaves no room for a GPU's, and the Llama is on it.
        options = PdfPipelineOptions(
            artifacts_path=models,
            do_ocr=False,
            accelerator_options=AcceleratorOptions(device="cpu"),
        )
        converter = DocumentConverter(
            format_options={InputFormat.PDF: PdfFormatOption(pipeline_options=options)}
        )
        if mime == PDF:
            converter.initialize_pipeline(InputFormat.PDF)
    except Exception as error:
        raise ConverterFailed(str(error)) from error
    return converter


def docling_laid_out(
    source: Any, facts: dict[str, Any], *, is_office: bool = False
) -> dict[str, Any]:
    """A `DoclingDocument` as `text`, `meta` and `layout`.

    Headers and footers of pages, notes and what stands in pictures are no text of it.

    Args:
        source: The document.
        facts: What the file says of itself: `title`, `authors`, …
        is_office: Whether boxes are in the units of Office, and not in points.
    """
    walk = _Walk(source, is_office=is_office)
    walk.add_children(source.body)
    titles = [text.text for text in source.texts if text.label == "title"]
    known = {"title": titles[0] if titles else None, **facts}
    if source.pages:
        known["pages"] = {"total_count": len(source.pages)}
    layout = walk.document.pages() + walk.document.layout
    meta = document_meta(known, walk.document)
    return {"text": walk.document.text, "meta": meta, "layout": layout}


class _Walk:
    """Adds the parts of a document in their order.

    Args:
        source: The document.
        is_office: As in `docling_laid_out`.
    """

    def __init__(self, source: Any, *, is_office: bool) -> None:
        self._source = source
        self._scale = 1 / _OFFICE_UNITS_A_POINT if is_office else 1.0
        self.document = LayoutText()

    def add_children(self, item: Any) -> None:
        """Adds what stands below an item, but for the text that is the item's own."""
        own = _inline_children(item, self._source) if getattr(item, "text", None) == "" else []
        for child in self._children(item):
            if not any(child is part for part in own):
                self._add(child)

    def _children(self, item: Any) -> Iterator[Any]:
        for reference in item.children:
            child = reference.resolve(self._source)
            if child.content_layer == "body":
                yield child

    def _add(self, item: Any) -> None:
        label = str(getattr(item.label, "value", item.label))
        if label in ("table", "document_index", "picture", "chart"):
            for child in self._children(item):
                if getattr(child, "label", None) in ("caption", "footnote"):
                    self._add(child)
            if hasattr(item, "data"):
                self._add_part("table", _table(item.data, self._source), item)
            return
        if label == "inline":
            self._add_part("paragraph", _joined(item, self._source), item)
            return
        if hasattr(item, "text"):
            text = item.text or "".join(
                _joined(child, self._source) for child in _inline_children(item, self._source)
            )
            self._add_part(_KINDS.get(label, label), _as_part(item, label, text), item)
        self.add_children(item)

    def _add_part(self, kind: str, text: str, item: Any) -> None:
        place = next(iter(getattr(item, "prov", None) or ()), None)
        level = None
        if kind == "heading":
            level = 1 + (getattr(item, "level", None) or 0)
        page = None if place is None else place.page_no
        self.document.add(kind, text, page=page, level=level, bbox=self._box(place))

    def _box(self, place: Any) -> list[float] | None:
        """Left, bottom, right and top in points."""
        if place is None or place.page_no not in self._source.pages:
            return None
        height = self._source.pages[place.page_no].size.height
        box = place.bbox.to_bottom_left_origin(page_height=height)
        if box.l == box.r or box.b == box.t:
            return None
        return [float(edge) * self._scale for edge in (box.l, box.b, box.r, box.t)]


def _inline_children(item: Any, source: Any) -> list[Any]:
    children = [reference.resolve(source) for reference in item.children]
    return [child for child in children if child.label == "inline"]


def _joined(group: Any, source: Any) -> str:
    """The pieces of a line, which docling has parted where their looks change."""
    parts = [reference.resolve(source) for reference in group.children]
    texts = [getattr(part, "text", None) or _joined(part, source) for part in parts]
    return _BEFORE_MARK.sub("", " ".join(text for text in texts if text))


def _as_part(item: Any, label: str, text: str) -> str:
    if label == "list_item":
        is_numbered = getattr(item, "enumerated", False) and item.marker
        return f"{item.marker if is_numbered else '-'} {one_line(text)}" if text.strip() else ""
    return text if label == "code" else one_line(text)


def _table(data: Any, source: Any) -> str:
    cells = [
        {
            "row": cell.start_row_offset_idx,
            "col": cell.start_col_offset_idx,
            "content": _cell_text(cell, source),
        }
        for cell in data.table_cells
    ]
    return markdown_table({"rows": data.num_rows, "cols": data.num_cols, "cells": cells})


def _cell_text(cell: Any, source: Any) -> str:
    """The text of a cell; of one that has lists or the like in it, all their pieces."""
    reference = getattr(cell, "ref", None)
    pieces = "" if reference is None else _joined_below(reference.resolve(source), source)
    return pieces or str(cell.text)


def _joined_below(item: Any, source: Any) -> str:
    below = [_joined_below(child.resolve(source), source) for child in item.children]
    return " ".join(filter(None, [getattr(item, "text", ""), *below]))


def _facts(path: str | None, mime: str) -> dict[str, Any]:
    """What a file says of itself, which docling does not read."""
    if path is None:
        return {}
    if mime == PDF:
        properties = _pdf_properties(path)
    elif "officedocument" in mime:
        properties = _office_properties(path)
    else:
        return {}
    author = properties.pop("author", None)
    return {name: value for name, value in properties.items() if value} | (
        {"authors": [author]} if author else {}
    )


def _pdf_properties(path: str) -> dict[str, str]:
    """Those of a PDF, opened by a library that says it where a password is missing."""
    import pypdfium2

    with pypdfium2.PdfDocument(path) as file:
        known = file.get_metadata_dict()
    return {name.lower(): known[name] for name in ("Title", "Subject", "Keywords", "Author")}


def _office_properties(path: str) -> dict[str, str]:
    with zipfile.ZipFile(Path(path)) as archive:
        if _CORE_PROPERTIES not in archive.namelist():
            return {}
        root = ElementTree.fromstring(archive.read(_CORE_PROPERTIES))
    names = {element.tag.rpartition("}")[2]: (element.text or "").strip() for element in root}
    return {ours: names.get(theirs, "") for theirs, ours in _PROPERTIES.items()}
