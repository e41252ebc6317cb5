"""Tokens at characters: what stays true of a place when a later pipe merges or splits tokens.

The text of a Doc never changes, its tokens may. So what the package keeps on a Doc is read by its
characters, and so are span groups, whose token numbers spaCy does not mend.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import srsly
from spacy.tokens import Doc, Span, SpanGroup

_STORED = ">QQQllll"
"""A span of a group as `SpanGroup.to_bytes` packs it: id, kb_id, label, tokens, characters."""


class StoredSpan(NamedTuple):
    """A span of a group, which may be stale: its characters hold, its tokens may not.

    Attributes:
        id: The span's id; empty where it has none.
        kb_id: The knowledge-base id.
        label: The label.
        start_char: First character.
        end_char: One past the last.
    """

    id: str
    kb_id: str
    label: str
    start_char: int
    end_char: int


def tokens_at(doc: Doc, start_char: Any, end_char: Any) -> dict[str, int | None]:
    """The tokens that a piece of the text touches, as `start_token` and `end_token`.

    Both are None where the piece is none, is no piece of this text, or holds no token, as the
    space between two tokens.
    """
    span = None
    if isinstance(start_char, int) and isinstance(end_char, int) and len(doc):
        length = doc[-1].idx + len(doc[-1].text_with_ws)
        if 0 <= start_char < end_char <= length:
            span = doc.char_span(start_char, end_char, alignment_mode="expand")
    if not span:
        return {"start_token": None, "end_token": None}
    return {"start_token": span.start, "end_token": span.end}


def realigned(doc: Doc, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with the tokens that its characters have now."""
    return {**row, **tokens_at(doc, row.get("start_char"), row.get("end_char"))}


def stored_spans(doc: Doc, group: SpanGroup) -> list[StoredSpan]:
    """The spans of a group, which after a merge of tokens cannot even be iterated over."""
    spans = _spans_in_place(doc, group)
    return _unpacked(doc, group) if spans is None else spans


def _spans_in_place(doc: Doc, group: SpanGroup) -> list[StoredSpan] | None:
    """The spans of a group whose tokens are still those of its characters; None where not all are.

    Much cheaper than to unpack what is stored.
    """
    spans: list[StoredSpan] = []
    try:
        for span in group:
            first, last = doc[span.start], doc[span.end - 1]
            if (first.idx, last.idx + len(last)) != (span.start_char, span.end_char):
                return None
            place = {"start_char": span.start_char, "end_char": span.end_char}
            spans.append(StoredSpan(span.id_, span.kb_id_, label=span.label_, **place))
    except Exception:  # what spaCy says of a span beyond the tokens differs with its version
        return None
    return spans


def _unpacked(doc: Doc, group: SpanGroup) -> list[StoredSpan]:
    """The spans as they are stored, whatever has become of the tokens."""
    strings = doc.vocab.strings
    spans = []
    for packed in srsly.msgpack_loads(group.to_bytes())["spans"]:
        span_id, kb_id, label, _, _, start, end = struct.unpack(_STORED, packed)
        spans.append(
            StoredSpan(
                strings[span_id],
                strings[kb_id],
                label=strings[label],
                start_char=start,
                end_char=end,
            )
        )
    return spans


def span_at(doc: Doc, stored: StoredSpan) -> Span | None:
    """The Span over the tokens that a stored span touches now; None where there is none."""
    place = tokens_at(doc, stored.start_char, stored.end_char)
    start, end = place["start_token"], place["end_token"]
    if start is None or end is None:
        return None
    return Span(doc, start, end, label=stored.label, kb_id=stored.kb_id, span_id=stored.id)
