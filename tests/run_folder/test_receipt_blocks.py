"""Receipts in blocks: the same run as with a file for each of them, whatever is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from nlp_pipeline.errors.run_folder import BlockDamaged, PartDamaged, ReceiptDamaged
from nlp_pipeline.report.overview import pace
from nlp_pipeline.run_folder import receipt_blocks, receipt_list, writer
from nlp_pipeline.run_folder.folder import open_run
from nlp_pipeline.run_folder.ledger import Entry
from nlp_pipeline.run_folder.read import read_run, row_counts
from nlp_pipeline.run_folder.receipt_blocks import read_block, write_block
from nlp_pipeline.run_folder.receipt_list import read_receipts
from nlp_pipeline.run_folder.receipts import Receipt, write_receipt
from nlp_pipeline.run_folder.staged_parts import StagedParts
from nlp_pipeline.run_folder.status import run_status
from nlp_pipeline.run_folder.verify import verify_run
from nlp_pipeline.tables.frames import iter_tables

MARK = {"part_size": 2}
LEDGER = [Entry("a", "0", "corpus.jsonl", line=1)] * 2


@pytest.fixture
def by_threes(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes blocks of three receipts from now on."""

    def patch() -> None:
        for module in (receipt_blocks, receipt_list, writer):
            monkeypatch.setattr(module, "BLOCK", 3)

    return patch


@pytest.fixture
def packed(tmp_path: Path, by_threes: Callable[[], None]) -> Path:
    """A run of seven parts, two blocks of three and one more, that is not finished."""
    by_threes()
    return fill(tmp_path / "run", 7)


def tables(number: int) -> dict[str, pa.Table]:
    error = {"document_id": f"d{number}", "stage": "read", "type": "x", "message": "m"}
    return dict(iter_tables({"errors": [{**error, "attempt": 1, "retryable": False}]}))


def fill(run: Path, parts: int, state: str = "running") -> Path:
    with open_run(run, MARK, "parquet") as folder:
        for number in range(len(folder.receipts), parts):
            folder.commit(
                tables(number), documents=2, failed=1, output_tokens=number, ledger=LEDGER
            )
        if state == "finished":
            folder.close_books()
        manifest = {"fingerprint": MARK, "state": state, "format": "parquet"}
        folder.write_manifest({**manifest, "total": 2 * parts})
    return run


def receipt_names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "_receipts").iterdir())


def check_seven(run: Path) -> None:
    receipts = read_receipts(run)
    assert [receipt.part for receipt in receipts] == list(range(7))
    assert receipts.totals.documents == 14
    assert read_run(run, "errors")["errors"].document_id.tolist() == [f"d{i}" for i in range(7)]
    assert row_counts(run)["errors"] == 7
    status = run_status(run)
    assert (status.done, status.failed, status.output_tokens) == (14, 7, 21)
    assert not verify_run(run).problems


def test_what_is_complete_lies_in_blocks(packed: Path) -> None:
    assert receipt_names(packed) == ["block-00000.jsonl", "block-00001.jsonl", "part-00006.json"]
    check_seven(packed)
    assert len(pace(packed)) == 3


def test_the_folder_is_the_same_whenever_it_was_packed(
    tmp_path: Path, by_threes: Callable[[], None]
) -> None:
    run = fill(tmp_path / "run", 7)
    before = {path: path.read_bytes() for path in (run / "_receipts").iterdir()}
    assert len(before) == 7
    by_threes()
    check_seven(run)
    fill(run, 7)  # whoever goes on with it packs it
    fill(tmp_path / "new", 7)
    for name in receipt_names(tmp_path / "new"):
        assert (run / "_receipts" / name).read_bytes() == (
            tmp_path / "new" / "_receipts" / name
        ).read_bytes()
    for file, content in before.items():
        file.write_bytes(content)  # killed before they were removed
    check_seven(run)


def test_a_part_that_is_made_anew_holds_in_place_of_the_one_in_its_block(packed: Path) -> None:
    with open_run(packed, MARK, "parquet") as folder:
        folder.replace(1, tables(1), documents=2, failed=0, output_tokens=100)
        assert folder.receipts.totals.failed == 6
        assert (read_receipts(packed).totals.failed, read_receipts(packed)[1].failed) == (6, 0)
        assert receipt_names(packed)[2] == "part-00001.json"
        folder.close_books()
    assert receipt_names(packed) == ["block-00000.jsonl", "block-00001.jsonl", "part-00006.json"]
    assert run_status(packed).output_tokens == 120


def test_a_part_is_found_in_its_block_by_whoever_holds_only_its_number(packed: Path) -> None:
    store = StagedParts(packed, "parquet")
    assert [store.has_part(number) for number in (0, 5, 6, 7)] == [True, True, True, False]


def test_what_follows_a_damaged_part_is_made_anew(packed: Path) -> None:
    (packed / "tokens" / "part-00004.parquet").unlink()
    with pytest.raises(PartDamaged):
        read_run(packed, "tokens")
    with open_run(packed, MARK, "parquet") as folder:
        assert len(folder.receipts) == 4
        assert receipt_names(packed) == ["block-00000.jsonl", "part-00003.json"]
    check_seven(fill(packed, 7))


@pytest.mark.parametrize(
    ("state", "table", "whole"),
    [("finished", "tokens", 4), ("running", "tokens", 7), ("running", "errors", 4)],
)
def test_a_flipped_bit_in_a_block_is_looked_for_in_what_is_finished(
    tmp_path: Path, by_threes: Callable[[], None], state: str, table: str, whole: int
) -> None:
    by_threes()
    run = fill(tmp_path, 7, state)
    flip(run / table / "part-00004.parquet", 40)
    assert [problem for problem in verify_run(run).problems if isinstance(problem, PartDamaged)]
    with open_run(run, MARK, "parquet") as folder:
        assert len(folder.receipts) == whole


def flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)


def test_a_block_whose_first_line_is_damaged(packed: Path) -> None:
    flip(packed / "_receipts" / "block-00001.jsonl", 20)
    with pytest.raises(ReceiptDamaged, match=r"_receipts/block-00001.jsonl cannot be read, and"):
        run_status(packed)
    with open_run(packed, MARK, "parquet") as folder:
        assert len(folder.receipts) == 3
    check_seven(fill(packed, 7))


def test_a_block_with_a_damaged_receipt(packed: Path) -> None:
    flip(packed / "_receipts" / "block-00001.jsonl", -20)
    assert read_block(packed, 1) is None
    with pytest.raises(BlockDamaged) as raised:
        read_run(packed, "errors")
    assert str(raised.value) == (
        f"The receipts _receipts/block-00001.jsonl of the run in '{packed}' are damaged. Run the "
        "same command again: it makes the parts from 3 on anew."
    )
    with open_run(packed, MARK, "parquet") as folder:
        assert len(folder.receipts) == 3
    check_seven(fill(packed, 7))


def test_a_block_that_is_gone(packed: Path) -> None:
    (packed / "_receipts" / "block-00000.jsonl").unlink()
    with pytest.raises(ReceiptDamaged, match=r"_receipts/part-00000.json is missing"):
        read_run(packed)


def test_a_part_that_is_damaged_before_its_block_is_written(
    tmp_path: Path, by_threes: Callable[[], None]
) -> None:
    by_threes()
    with open_run(tmp_path, MARK, "parquet") as folder:
        for number in range(2):
            folder.commit(tables(number), documents=2, failed=1, output_tokens=0)
        flip(tmp_path / "errors" / "part-00000.parquet", 40)
        with pytest.raises(PartDamaged):
            folder.commit(tables(2), documents=2, failed=1, output_tokens=0)
    assert len(receipt_names(tmp_path)) == 3


def test_a_reader_that_lists_the_folder_before_it_is_packed(
    packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = receipt_list._listing
    stale = [({3, 4, 5, 6}, {0})]  # of before the second block was there
    monkeypatch.setattr(
        receipt_list, "_listing", lambda run: stale.pop() if stale else listing(run)
    )
    check_seven(packed)


def test_fresh_throws_blocks_away(packed: Path) -> None:
    with open_run(packed, MARK, "parquet", fresh=True):
        assert receipt_names(packed) == []


def test_numbers_of_different_lengths_are_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As part-100000 stands before part-99999 where names are sorted.
    monkeypatch.setattr(
        receipt_list, "receipt_path", lambda run, part: run / "_receipts" / f"part-{part}.json"
    )
    (tmp_path / "_receipts").mkdir()
    for part in range(12):
        write_receipt(receipt_list.receipt_path(tmp_path, part), Receipt(part, 1, 0, 0))
    assert [receipt.part for receipt in read_receipts(tmp_path)] == list(range(12))


def test_a_block_is_as_old_as_its_last_receipt(tmp_path: Path) -> None:
    (tmp_path / "_receipts").mkdir()
    file = tmp_path / "_receipts" / "part-00001.json"
    file.touch()
    os.utime(file, (1e9, 1e9))
    write_block(tmp_path, 0, [Receipt(0, 1, 0, 0), Receipt(1, 1, 0, 0)])
    assert receipt_blocks.block_path(tmp_path, 0).stat().st_mtime == 1e9
