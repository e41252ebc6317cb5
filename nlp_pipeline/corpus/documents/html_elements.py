"""What the elements of HTML mean: which are seen, which part a text, which end others."""

from __future__ import annotations

import re
from collections.abc import Mapping


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


HEADINGS = {f"h{level}": level for level in range(1, 7)}
"""Levels by name."""
VOID = _names("area base br col embed hr img input link meta param source track wbr")
"""What has no end."""
BLOCKS = _names(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset "
    "figcaption figure footer form header hgroup hr html legend li main menu ol optgroup option p "
    "pre search section select summary table tbody td tfoot th thead tr ul"
).union(HEADINGS)
"""What stands apart from the text before and after it."""
APART = _names("button img input select textarea")
"""What stands in a line, and parts the letters beside it."""
CAPTIONS = ("caption", "figcaption")
TABLE_PARTS = _names("table caption thead tbody tfoot tr td th")
CELLS = _names("table caption td th")
"""What no element outside of them ends in."""
IMPLIED_ENDS = {
    "li": (("li",), ("ul", "ol", "menu")),
    "dt": (("dt", "dd"), ("dl",)),
    "dd": (("dt", "dd"), ("dl",)),
    "tr": (("tr", "td", "th"), ("table",)),
    "td": (("td", "th"), ("table", "tr")),
    "th": (("td", "th"), ("table", "tr")),
    "option": (("option",), ("select",)),
}
"""Which open elements end where one begins, and which they are not looked for beyond."""
_INVISIBLE = _names(
    "head title script style template noscript nav svg iframe object canvas audio video datalist "
    "noframes noembed"
)
_UNSEEN = re.compile(
    r"(?:^|[;\s])(?:display\s*:\s*none|(?:content-)?visibility\s*:\s*(?:hidden|collapse))",
    re.IGNORECASE,
)


def is_unseen(tag: str, attributes: Mapping[str, str]) -> bool:
    """Whether nothing in an element is seen."""
    if tag in ("html", "body"):  # often hidden only until a script has run
        return False
    is_closed = tag == "dialog" and "open" not in attributes
    is_hidden = "hidden" in attributes or bool(_UNSEEN.search(attributes.get("style", "")))
    return tag in _INVISIBLE or is_closed or is_hidden


def whole_number(text: str | None, most: int) -> int:
    """A number in an attribute, at least 1 and no more than a page needs; 1 where there is none."""
    value = (text or "").strip()
    is_number = value.isascii() and value.isdigit()
    return min(max(int(value[:9]), 1), most) if is_number else 1
