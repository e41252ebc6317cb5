"""What a document holds, made safe for a message: nothing invisible, nothing without an end."""

from __future__ import annotations


def escaped(value: object, limit: int = 80) -> str:
    r"""A value on one line, without control characters, and at most about `limit` long.

    A document can hold terminal sequences, line ends and characters that turn the reading
    direction around; a message that repeats them would let the document write on the terminal.

    Args:
        value: What the message names; its `str` is shown.
        limit: How many characters of it are shown before a `…` takes the place of the rest.

    Returns:
        The text with every unprintable character as its Python escape (`\x1b`, `\u202e`).
    """
    text = str(value)
    clipped = text if len(text) <= limit else text[:limit] + "…"
    if clipped.isprintable():
        return clipped
    return "".join(char if char.isprintable() else _escape(char) for char in clipped)


def described(error: BaseException) -> str:
    """What an exception of a library says, on one line: its type alone is a riddle, as its text."""
    reason = getattr(error, "strerror", None) or " ".join(str(error).split())
    if isinstance(error, OSError) and reason:
        return str(reason)
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
