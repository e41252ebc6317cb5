"""Offsets as JavaScript counts them: a character beyond U+FFFF, such as an emoji, is two units."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate


class Utf16Offsets:
    """The offsets of a text in code points and in UTF-16 units.

    Args:
        text: The text.
    """

    def __init__(self, text: str) -> None:
        self._units: list[int] | None = None
        if any(char > "\uffff" for char in text):
            sizes = (1 + (char > "\uffff") for char in text)
            self._units = list(accumulate(sizes, initial=0))

    def units(self, offset: int) -> int:
        """The units before a code point."""
        return offset if self._units is None else self._units[offset]

    def code_points(self, units: int) -> int | None:
        """The code points before a unit; None where it is outside or within a character."""
        if self._units is None:
            return units
        offset = bisect_left(self._units, units)
        is_there = offset < len(self._units) and self._units[offset] == units
        return offset if is_there else None
