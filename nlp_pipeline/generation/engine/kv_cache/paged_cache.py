"""The KV cache on CUDA: pages, block tables, and the prefixes that are shared by reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nlp_pipeline.generation.engine.attention.paged_batch import PagedBatch
from nlp_pipeline.generation.engine.kv_cache.block_table import BlockTable
from nlp_pipeline.generation.engine.kv_cache.kv_protocols import PrefixMatch
from nlp_pipeline.generation.engine.kv_cache.pages import PAGE, SCRATCH, Pages
from nlp_pipeline.generation.engine.kv_cache.prefix_cache import PrefixCache
from nlp_pipeline.generation.engine.kv_cache.table_pair import TablePair
from nlp_pipeline.generation.sequence import Sequence

if TYPE_CHECKING:
    from nlp_pipeline.generation.engine.attention.bodies import AttentionBody
    from nlp_pipeline.generation.engine.hf_attention import LayerShape
    from nlp_pipeline.generation.engine.scheduled_tokens import ScheduledTokens
    from nlp_pipeline.generation.engine.sequence_state import SequenceState


class PagedCache:
    """A `KVCache` of pages.

    A sequence gets all pages that it can need when it starts, so that it never has to stop for
    want of one. The pages of a common prefix stand in the tables of all that begin with it.

    Args:
        layers: What the layers keep; all the same.
        kv_cache_tokens: Tokens that there is room for; fewer where the device has less after all.
        max_batch_size: Sequences that run together, beams counted.
        max_seq_len: Tokens of prompt and completion together.
        body: Computes attention over the pages.
        sharing: Whether common prefixes are shared at all.
        page: Tokens in a page.

    Attributes:
        body: See above.
        pages: The memory.
        prefixes: What of it can be found.
        tables: Page ids of all running sequences.
        max_seq_len: What of the `max_seq_len` that was asked for fits.
    """

    def __init__(
        self,
        layers: list[LayerShape],
        *,
        kv_cache_tokens: int,
        max_batch_size: int,
        max_seq_len: int,
        body: AttentionBody,
        sharing: bool = True,
        page: int = PAGE,
    ) -> None:
        self.pages = _pages_that_fit(layers, kv_cache_tokens, page)
        self.max_seq_len = min(max_seq_len, self.pages.count * page)
        self.prefixes = PrefixCache(page)
        self.pages.on_evict = self.prefixes.remove
        blocks = -(-self.max_seq_len // page)
        self.tables = TablePair(max_batch_size, blocks, layers[0].device)
        self.body = body
        self._sharing = sharing

    def match(self, sequence: Sequence) -> PrefixMatch:
        """See `KVCache.match`."""
        if not self._sharing or sequence.params.echo:
            return PrefixMatch(source=[])
        page_ids, promised = self.prefixes.match(sequence.prompt_ids[:-1])
        page = self.pages.page
        shared = len(page_ids) * page
        return PrefixMatch(shared, shared + promised * page, page_ids)

    def allocate(
        self,
        sequence: Sequence,
        match: PrefixMatch,
        beams: int,
        running: list[SequenceState],
        waiting: list[Sequence],
    ) -> list[BlockTable] | None:
        """See `KVCache.allocate`."""
        pages, shared = self.pages, match.source
        longest = len(sequence.prompt_ids) + sequence.params.max_new_tokens
        blocks = -(-min(longest, self.max_seq_len) // pages.page)
        # A further beam takes over the prompt's whole pages when it first goes on.
        common = len(sequence.prompt_ids) // pages.page
        further = max(beams, 1) - 1
        idle = sum(pages.is_idle(page_id) for page_id in shared)
        needed = blocks - len(shared) + further * (blocks - common)
        if needed > pages.available - idle:
            return None
        for page_id in shared:
            pages.retain(page_id)
        first = [*shared, *pages.take(blocks - len(shared))]
        tables = [BlockTable(self, first, match.shared)]
        for _ in range(further):
            own = [SCRATCH] * common + pages.take(blocks - common)
            tables.append(BlockTable(self, own, 0))
        if self._sharing and not sequence.params.echo:
            self.prefixes.add(sequence.prompt_ids, tables[0])
        return tables

    def release(self, slot: BlockTable, tokens: list[int]) -> None:
        """See `KVCache.release`; what followed the prompt can be found from now on too."""
        if self._sharing and slot.computed and slot.pages[0] in self.prefixes:
            self.prefixes.add(tokens[: slot.computed], slot)
        self.prefixes.leave(slot)
        slot.free()

    def pack(self, chunks: list[ScheduledTokens]) -> PagedBatch:
        """See `KVCache.pack`."""
        self.tables.update()
        return PagedBatch(chunks, self.pages, self.tables, body=self.body)

    def close(self) -> None:
        """See `KVCache.close`."""
        self.pages.memory = self.pages.memory.new_empty(0)


def _pages_that_fit(layers: list[LayerShape], tokens: int, page: int) -> Pages:
    """As many pages as were asked for, or fewer where even so many are not to be had.

    What is free was an estimate: others use the device too.

    Raises:
        MemoryError: There is no room for two pages.
    """
    count = -(-tokens // page)
    while True:
        try:
            return Pages(layers, count + 1, page)
        except MemoryError:
            if count == 1:
                raise
            count = max(1, count * 3 // 4)
