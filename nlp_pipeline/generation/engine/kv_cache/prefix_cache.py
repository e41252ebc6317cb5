"""Which pages hold the beginning of a prompt: a tree over pages of tokens, as a dictionary.

A page is found by the page before it and by its own tokens, which are compared, not hashed alone:
no two prompts can be taken for one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nlp_pipeline.generation.engine.kv_cache.block_table import BlockTable

ROOT = 0
"""Number of what stands before a first page."""


class _Key(NamedTuple):
    parent: int
    tokens: tuple[int, ...]


@dataclass(slots=True, eq=False)
class _Entry:
    """A page that can be found.

    Attributes:
        number: Never given twice, so that the children of an evicted page are not found again.
        key: Where it stands.
        page_id: The page.
        end: Tokens up to its end.
        owner: The block table whose sequence computes it; None once that has left.
    """

    number: int
    key: _Key
    page_id: int
    end: int
    owner: BlockTable | None

    @property
    def ready(self) -> bool:
        return self.owner is None or self.owner.computed >= self.end


class PrefixCache:
    """Finds the pages that a prompt begins with.

    Args:
        page: Tokens in a page.
    """

    def __init__(self, page: int) -> None:
        self._page = page
        self._numbers = count(ROOT + 1)
        self._entries: dict[_Key, _Entry] = {}
        self._by_page: dict[int, _Entry] = {}

    def __contains__(self, page_id: int) -> bool:
        return page_id in self._by_page

    def match(self, tokens: list[int]) -> tuple[list[int], int]:
        """Pages that hold the beginning of these tokens, and how many more are being computed.

        Only whole pages are found.
        """
        page_ids: list[int] = []
        promised = 0
        for entry in self._path(tokens):
            if entry.ready and not promised:
                page_ids.append(entry.page_id)
            else:
                promised += 1
        return page_ids, promised

    def add(self, tokens: list[int], table: BlockTable) -> None:
        """Lets the whole pages of these tokens be found, from when they are computed on.

        Args:
            tokens: From the beginning of the sequence.
            table: Has their pages; what others have already added is left as it is.
        """
        parent = ROOT
        for index, key_tokens in enumerate(self._blocks(tokens)):
            key = _Key(parent, key_tokens)
            entry = self._entries.get(key)
            page_id = table.pages[index]
            if entry is None:
                if page_id in self._by_page:  # it stands elsewhere in the tree already
                    return
                end = (index + 1) * self._page
                entry = _Entry(next(self._numbers), key, page_id=page_id, end=end, owner=table)
                self._entries[key] = self._by_page[page_id] = entry
            parent = entry.number

    def leave(self, table: BlockTable) -> None:
        """The sequence of a block table has left: what it has not computed is not promised."""
        for page_id in table.pages:
            entry = self._by_page.get(page_id)
            if entry is not None and entry.owner is table:
                if entry.ready:
                    entry.owner = None
                else:
                    self.remove(page_id)

    def remove(self, page_id: int) -> None:
        """A page is not to be found any more."""
        entry = self._by_page.pop(page_id, None)
        if entry is not None:
            del self._entries[entry.key]

    def _path(self, tokens: list[int]) -> list[_Entry]:
        path, parent = [], ROOT
        for key_tokens in self._blocks(tokens):
            entry = self._entries.get(_Key(parent, key_tokens))
            if entry is None:
                break
            path.append(entry)
            parent = entry.number
        return path

    def _blocks(self, tokens: list[int]) -> list[tuple[int, ...]]:
        page = self._page
        whole = len(tokens) - len(tokens) % page
        return [tuple(tokens[i : i + page]) for i in range(0, whole, page)]
