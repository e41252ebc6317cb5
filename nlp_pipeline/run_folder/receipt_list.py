"""The receipts of a run as one list, of which only what is looked at lies in memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from nlp_pipeline.errors.run_folder import BlockDamaged, PartDamaged, ReceiptDamaged
from nlp_pipeline.run_folder.files import Format
from nlp_pipeline.run_folder.receipt_blocks import (
    BLOCK,
    Totals,
    block_path,
    read_block,
    read_totals,
    write_block,
)
from nlp_pipeline.run_folder.receipts import (
    RECEIPTS,
    Receipt,
    check_file,
    check_part,
    check_sizes,
    read_receipt,
    receipt_path,
    write_receipt,
)

logger = logging.getLogger(__name__)


class ReceiptList:
    """The receipts of the parts that are done, from the first.

    Args:
        run: The run's folder.
        blocks: The sums of the blocks that are there.
        single: By its part, each receipt with a file of its own: those behind the blocks, and those
            that hold in place of one in a block.

    Attributes:
        totals: Sums over all.
    """

    def __init__(
        self, run: Path, blocks: Sequence[Totals] = (), single: Iterable[Receipt] = ()
    ) -> None:
        self._run = run
        self._blocks = list(blocks)
        self._single: dict[int, Receipt] = {}
        self._loaded: tuple[int, list[Receipt]] = (-1, [])
        self._length = len(self._blocks) * BLOCK
        self.totals = Totals()
        for block in self._blocks:
            self.totals.add(block)
        for receipt in single:
            self.put(receipt)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Receipt]:
        for part in range(self._length):
            yield self[part]

    def __getitem__(self, part: int) -> Receipt:
        if part in self._single:
            return self._single[part]
        if not 0 <= part < len(self._blocks) * BLOCK:
            raise IndexError(part)
        return self._block(part // BLOCK)[part % BLOCK]

    @property
    def single(self) -> frozenset[int]:
        """The parts whose receipts have files of their own."""
        return frozenset(self._single)

    def put(self, receipt: Receipt) -> None:
        """Takes in the receipt of the next part, or of one that was made anew."""
        if receipt.part < self._length:
            self.totals.add(self[receipt.part], -1)
        self._length = max(self._length, receipt.part + 1)
        self._single[receipt.part] = receipt
        self.totals.add(receipt)

    def first(self, parts: int) -> ReceiptList:
        """The receipts of so many parts, as a list of its own."""
        n_blocks = min(parts // BLOCK, len(self._blocks))
        rest = range(n_blocks * BLOCK, min(parts, self._length))
        single = {part for part in self._single if part < n_blocks * BLOCK}.union(rest)
        kept = [self[part] for part in sorted(single)]
        return ReceiptList(self._run, self._blocks[:n_blocks], kept)

    def pack(self) -> None:
        """Writes what is complete into blocks; what has a file of its own gets into its block."""
        for block in sorted({part // BLOCK for part in self._single}):
            end = (block + 1) * BLOCK
            if end > self._length:
                return
            receipts = [self[part] for part in range(block * BLOCK, end)]
            totals = write_block(self._run, block, receipts)
            self._blocks[block : block + 1] = [totals]
            self._loaded = (-1, [])
            for part in range(block * BLOCK, end):
                if self._single.pop(part, None) is not None:
                    receipt_path(self._run, part).unlink(missing_ok=True)

    def _block(self, block: int) -> list[Receipt]:
        number, receipts = self._loaded
        if number != block:
            read = read_block(self._run, block)
            if read is None or len(read) != BLOCK:
                name = f"{RECEIPTS}/{block_path(self._run, block).name}"
                raise BlockDamaged(str(self._run), name, block * BLOCK)
            self._loaded = (block, receipts := read)
        return receipts


def read_receipts(run: Path) -> ReceiptList:
    """The receipts of the parts that are done, up to the first that is not."""
    return _scan(run)[0]


def whole_receipts(
    run: Path, total: int | None, command: Sequence[str] = (), corpus: str = ""
) -> ReceiptList:
    """The receipts of the parts that are done, where none is missing among them.

    Args:
        run: The run's folder.
        total: How many records they have to make together; None where the run is not finished.
        command: What began the run, for the message; nothing where it was a call in Python.
        corpus: Its corpus, for the message.

    Raises:
        ReceiptDamaged: One is missing or cannot be read, or they do not make the total. What they
            leave out would look as if it had never been there.
    """
    receipts, file, problem = _scan(run)
    documents = receipts.totals.documents
    if not problem and total is not None and documents != total:
        file, problem = receipt_path(run, len(receipts)), "is missing"
    if problem:
        raise ReceiptDamaged(
            str(run),
            f"{RECEIPTS}/{file.name}",
            problem=problem,
            documents=documents,
            total=total,
            command=command,
            corpus=corpus,
        )
    return receipts


def drop_receipts(run: Path, receipts: ReceiptList) -> None:
    """Removes all receipts behind those of a list.

    They go from the last to the first, so that a process killed here leaves no gap: a part that
    is made anew must not meet a receipt of an earlier one behind it.
    """
    single, blocks = _listing(run)
    for part in sorted((part for part in single if part >= len(receipts)), reverse=True):
        receipt_path(run, part).unlink()
    for block in sorted(blocks, reverse=True):
        first = block * BLOCK
        if first + BLOCK > len(receipts):
            for part in range(first, len(receipts)):
                write_receipt(receipt_path(run, part), receipts[part])
            block_path(run, block).unlink()


def count_intact(run: Path, receipts: ReceiptList, format_: Format, *, every_byte: bool) -> int:
    """How many parts, from the first, are as their receipts say.

    The first that is not is logged: it and those after it are made anew.

    Args:
        run: The run's folder.
        receipts: Of its parts.
        format_: Of their files.
        every_byte: Read the parts whose receipts lie in a block too, and do not only look at the
            lengths of their files. They were read when the block was written, and to read all of
            a large run each time that it goes on would take hours.
    """
    single = receipts.single
    number = 0
    try:
        for number, receipt in enumerate(receipts):
            if every_byte or number in single:
                check_part(run, receipt, format_)
                continue
            check_sizes(run, receipt, format_)
            if receipt.rows.get("errors"):  # `errors.jsonl` is compared with them
                check_file(run, receipt, "errors", format_)
    except BlockDamaged as error:
        logger.warning("%s Now: it and what follows it.", error)
        return error.first
    except PartDamaged as error:
        logger.warning("%s Now: it and what follows it.", error)
        return number
    return len(receipts)


def _listing(run: Path) -> tuple[set[int], set[int]]:
    """The parts whose receipts have files of their own, and the blocks that are there."""
    numbers: dict[str, set[int]] = {".json": set(), ".jsonl": set()}
    kinds = {("part", ".json"), ("block", ".jsonl")}
    for name in os.listdir(run / RECEIPTS) if (run / RECEIPTS).is_dir() else ():
        stem, dot, end = name.partition(".")
        kind, _, number = stem.partition("-")
        if (kind, dot + end) in kinds and number.isascii() and number.isdigit():
            numbers[dot + end].add(int(number))
    return numbers[".json"], numbers[".jsonl"]


def _scan(run: Path) -> tuple[ReceiptList, Path, str]:
    """The receipts up to the first that is not there, its file, and what is wrong with that.

    A run that is going on adds receipts, packs them, and takes them away from the last on, while
    they are read: what seems wrong is looked at again.
    """
    for _ in range(3):
        receipts, file, problem = _scan_once(run)
        if not problem and not block_path(run, len(receipts) // BLOCK).exists():
            break
    return receipts, file, problem


def _scan_once(run: Path) -> tuple[ReceiptList, Path, str]:
    single, blocks = _listing(run)
    totals: list[Totals] = []
    file, problem = Path(), ""
    while len(totals) in blocks and not problem:
        file = block_path(run, len(totals))
        block = read_totals(run, len(totals))
        if block is None:
            problem = "cannot be read"
        else:
            totals.append(block)
    receipts = ReceiptList(run, totals)
    for part in sorted(single):
        if problem and part >= len(totals) * BLOCK:
            break
        if part > len(receipts):
            return receipts, receipt_path(run, len(receipts)), "is missing"
        receipt = read_receipt(receipt_path(run, part))
        if receipt is None or receipt.part != part:
            return receipts.first(part), receipt_path(run, part), "cannot be read"
        receipts.put(receipt)
    if not problem and max(blocks, default=-1) * BLOCK >= max(len(receipts), 1):
        return receipts, receipt_path(run, len(receipts)), "is missing"
    return receipts, file, problem
