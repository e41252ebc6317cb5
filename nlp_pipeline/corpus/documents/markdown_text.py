"""Markdown as text of which it is known what stands where: read as the page that it describes."""

from __future__ import annotations

import re

from nlp_pipeline.corpus.documents.document_text import LayoutText
from nlp_pipeline.corpus.documents.html_text import html_layout

_FRONT_MATTER = re.compile(
    r"\A---[ \t]*\r?\n(?![ \t]*\r?\n)(?:.*?\r?\n)??(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL
)
"""A line above an empty one is no beginning of it, but parts the text."""
_FOOTNOTE = re.compile(r"^(?= {0,3}\[\^[^\]\s]+\]:)", re.MULTILINE)
"""Where CommonMark would see the address of a link, and show nothing."""


def markdown_layout(text: str) -> LayoutText:
    """What a reader sees of Markdown, without the block of facts at its beginning."""
    from markdown_it import MarkdownIt

    # What stands deeper is left out; lists in lists soon are deeper than the 20 of this preset.
    parser = MarkdownIt("commonmark", {"maxNesting": 100}).enable(["table", "strikethrough"])
    return html_layout(parser.render(_FOOTNOTE.sub("\\\\", _FRONT_MATTER.sub("", text))))
