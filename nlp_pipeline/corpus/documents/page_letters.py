"""The letters of a page of HTML, whatever encoding it is written in."""

from __future__ import annotations

import codecs
import re

_CHARSET = re.compile(
    rb"""(?:<meta[^>]+charset|\A\s*<\?xml[^>]+encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE
)
_FIRST_BYTES = 4096
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_WIDER = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
"""What browsers read instead of an encoding (https://encoding.spec.whatwg.org/#names-and-labels)."""


def decoded_page(data: bytes) -> str:
    """The letters of a page of HTML, as browsers read them.

    Its encoding is that of its byte order mark, else UTF-8 where it is that, else what it says of
    itself, else Windows-1252. A page that says UTF-8 is read so where most of it is.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace").removeprefix("\ufeff")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        named = _named_encoding(data)
    # What is named in single bytes is no encoding of two or four.
    if named.startswith("utf"):
        text = data.decode("utf-8", "replace")
        n_others = len(text) - len(text.encode("ascii", "ignore"))
        if 2 * text.count("\ufffd") < n_others:
            return text
        named = "cp1252"
    try:
        return data.decode(named, "replace")
    except (LookupError, UnicodeError):  # such as hex, which is no encoding of letters
        return data.decode("cp1252", "replace")


def _named_encoding(data: bytes) -> str:
    match = _CHARSET.search(data[:_FIRST_BYTES])
    return wider_encoding(match[1].decode("ascii", "replace")) if match else "cp1252"


def wider_encoding(label: str) -> str:
    """The encoding that is meant by a name: `gb2312` and the like are said of wider ones."""
    try:
        name = codecs.lookup(label).name
    except LookupError:
        return label
    return _WIDER.get(name, name)
