"""Whether records have the field that the text is to be taken from, looked at before they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, TypeVar

from nlp_pipeline.corpus.nested_fields import lifted
from nlp_pipeline.errors.corpus import NoTextColumn, NoTextField

_Item = TypeVar("_Item")

_LOOKED_AT = 100
"""Records without the field, after which no other is waited for."""


def require_text_column(
    columns: Iterable[str], text_key: str, source: str, *, setting: str = "--text-key"
) -> None:
    """Looks whether a table has the column that holds the text.

    Args:
        columns: Of the table. One without any has no rows either, and is a corpus of none.
        text_key: The column's name, or names with dots that lead to it.
        source: What messages call the table.
        setting: What names the column.

    Raises:
        NoTextColumn: It has not.
    """
    names = list(columns)
    if names and text_key not in names and text_key.split(".")[0] not in names:
        raise NoTextColumn(source, text_key, names, setting=setting)


def with_text_field(
    items: Iterable[_Item],
    fields_of: Callable[[_Item], Mapping[str, Any] | None],
    text_key: str,
    source: str,
    *,
    setting: str = "--text-key",
) -> Iterator[_Item]:
    """The same items, of which some have the text: those at the beginning are already read.

    One record without it costs no other. Of several of which none has it, the field has another
    name.

    Args:
        items: What is read.
        fields_of: The fields of an item; None where it is no record.
        text_key: The name of the field with the text.
        source: What messages call the corpus.
        setting: What names the field.

    Raises:
        NoTextField: There are two records or more, and none of them (of the first 100 where there
            are more) has the field; raised by the call itself.
    """
    iterator = iter(items)
    items_read: list[_Item] = []
    names: dict[str, None] = {}
    n_without = 0
    for item in iterator:
        items_read.append(item)
        fields = fields_of(item)
        if fields is not None:
            if text_key in lifted(dict(fields), text_key):
                return chain(items_read, iterator)
            names |= dict.fromkeys(map(str, fields))
            n_without += 1
        if len(items_read) == _LOOKED_AT:
            break
    if n_without > 1:
        raise NoTextField(source, text_key, names, records=n_without, setting=setting)
    return chain(items_read, iterator)
