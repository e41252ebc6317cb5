"""The block table: the pages that hold the keys and values of one sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nlp_pipeline.generation.engine.kv_cache.pages import SCRATCH

if TYPE_CHECKING:
    from nlp_pipeline.generation.engine.kv_cache.paged_cache import PagedCache


class BlockTable:
    """Which page holds which tokens of a sequence; a `KVSlot`.

    Whole pages that are computed may stand in several tables and are only read. The page that is
    being written, and those after it, stand in this table alone.

    Args:
        cache: Gave the pages out.
        pages: Page ids in the order of the tokens; `SCRATCH` where a waiting beam has none yet.
        computed: Tokens whose keys and values are there.

    Attributes:
        row: Of the cache's tables, where the page ids stand too.
    """

    __slots__ = ("cache", "computed", "pages", "row")

    def __init__(self, cache: PagedCache, pages: list[int], computed: int) -> None:
        self.cache = cache
        self.row = cache.tables.take_row()
        self.pages = pages
        self.computed = computed
        cache.tables.write(self.row, pages)

    def fork(self, parent: BlockTable) -> None:
        """Shares the parent's whole pages, and copies the one that is being written."""
        pages = self.cache.pages
        whole, rest = divmod(parent.computed, pages.page)
        for index in range(whole):
            old, new = self.pages[index], parent.pages[index]
            if old != new:
                pages.retain(new)
                self._give_back(old)
                self.pages[index] = new
        if rest:
            pages.copy(parent.pages[whole], self.pages[whole])
        self.computed = parent.computed
        self.cache.tables.write(self.row, self.pages)

    def zero(self) -> None:
        """Nothing to do: whoever gets a page next never reads what was in it before."""

    def mark_suspect(self) -> None:
        """Nobody new finds any of its pages; those who share them go on."""
        for page_id in self.pages:
            self.cache.prefixes.remove(page_id)

    def free(self) -> None:
        """Gives all pages and the row back; the last pages are needed again first."""
        for page_id in reversed(self.pages):
            self._give_back(page_id)
        self.pages = []
        self.cache.tables.give_back(self.row)

    def _give_back(self, page_id: int) -> None:
        if page_id != SCRATCH:
            self.cache.pages.release(page_id, keep=page_id in self.cache.prefixes)
