"""The letters of a page of HTML, whatever encoding it is written in."""

from __future__ import annotations

import codecs
import re

_CHARSET = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_FIRST_BYTES = 4096
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded_page(data: bytes) -> str:
    """The letters of a page of HTML, as browsers read them.

    Its encoding is that of its byte order mark, else UTF-8 where it is that, else what it says of
    itself, else Windows-1252.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace").removeprefix("\ufeff")
    match = _CHARSET.search(data[:_FIRST_BYTES])
    named = match[1].decode("ascii", "replace").lower() if match else ""
    for encoding in ("utf-8", named):
        try:
            if encoding and codecs.lookup(encoding).name not in ("ascii", "iso8859-1"):
                return data.decode(encoding)
        except (LookupError, UnicodeError):
            continue
    return data.decode("cp1252", "replace")
