"""Two halves of the documents: one to choose on, one to report on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import TypeVar

Item = TypeVar("Item")


def in_first_half(document_id: str) -> bool:
    """Whether a document belongs to the half that settings are chosen on.

    By a digest of its id, so that it is the same on every machine, in every order and however
    many documents there are beside it. All questions about a document are in one half: answers
    about one text go wrong together.
    """
    return sha256(document_id.encode("utf-8", "surrogatepass")).digest()[0] < 128


def halves(
    items: Iterable[Item], document_id: Callable[[Item], str]
) -> tuple[list[Item], list[Item]]:
    """The items of the half to choose on, and those of the half to report on.

    Args:
        items: Such as outcomes of questions.
        document_id: Gives the document of one.
    """
    chosen_on: list[Item] = []
    reported_on: list[Item] = []
    for item in items:
        (chosen_on if in_first_half(document_id(item)) else reported_on).append(item)
    return chosen_on, reported_on
