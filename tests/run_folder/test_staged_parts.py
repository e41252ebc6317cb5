"""Parts that are made beside a run, ahead of others, and take their places later."""

from __future__ import annotations

import shutil
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline.corpus import Record
from nlp_pipeline.errors.run_folder import PartDamaged
from nlp_pipeline.run_folder.folder import RunFolder, open_run
from nlp_pipeline.run_folder.ledger import entry_of, failed_ones
from nlp_pipeline.run_folder.part import PartStore
from nlp_pipeline.run_folder.parts import PartRecords, PartWriter, in_parts
from nlp_pipeline.run_folder.resume import plan_resume
from nlp_pipeline.run_folder.staged_parts import StagedParts
from nlp_pipeline.run_folder.status import run_status
from nlp_pipeline.tables.schemas import TABLES

FINGERPRINT = {"part_size": 2}
RECORDS = [Record(i, f"d{i}", text=f"Text {i}.") for i in range(6)]


def rows_of(record: Record) -> dict[str, list[dict[str, Any]]]:
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    status = "error" if "4" in record.id else "ok"
    document = {"document_id": record.id, "position": record.index, "status": status}
    rows["documents"] = [{**document, "meta": "{}", "text": record.text}]
    if status == "error":
        texts = dict.fromkeys(("document_id", "stage", "type", "message", "source"), record.id)
        rows["errors"] = [{**texts, "line": 1, "attempt": 1, "retryable": False}]
    return rows


def _identity(record: Record) -> Record:
    return record


def units(records: list[Record]) -> list[PartRecords]:
    pairs = [(entry_of(record), partial(_identity, record)) for record in records]
    return [PartRecords(unit.number, list(unit.records)) for unit in in_parts(pairs, 2)]


def write(store: PartStore, parts: list[PartRecords]) -> list[str]:
    """Writes parts; returns the ids of what had to be computed."""
    writer = PartWriter(store, 2, failed_ones)
    computed = []
    with closing(writer):
        for record in writer.wanted(parts):
            assert isinstance(record, Record)
            computed.append(record.id)
            writer.add(rows_of(record))
        writer.finish()
    return computed


def files(out: Path) -> dict[str, bytes]:
    paths = [path for path in out.rglob("*") if path.is_file()]
    return {str(p.relative_to(out)): p.read_bytes() for p in paths if p.name != ".lock"}


@pytest.fixture(params=["parquet", "csv", "jsonl"])
def format_(request: pytest.FixtureRequest) -> Any:
    return request.param


def fill(out: Path, format_: Any, parts: list[PartRecords]) -> list[str]:
    with open_run(out, FINGERPRINT, format_) as folder:
        folder.write_manifest({"fingerprint": FINGERPRINT, "format": format_, "total": 6})
        computed = write(folder, parts)
        folder.close_books()
    return computed


def test_parts_made_ahead_become_those_of_a_run_in_order(tmp_path: Path, format_: Any) -> None:
    clean, out = tmp_path / "clean", tmp_path / "out"
    fill(clean, format_, units(RECORDS))
    with open_run(out, FINGERPRINT, format_) as folder:
        folder.write_manifest({"fingerprint": FINGERPRINT, "format": format_, "total": 6})
        staged = StagedParts(out, format_)
        assert write(staged, units(RECORDS)[::-1]) == ["d4", "d5", "d2", "d3", "d0", "d1"]
        folder.sealed.update(staged.receipts)
        for number in range(3):
            folder.place(number)
        folder.close_books()
    assert files(out) == files(clean)


def test_a_part_ahead_of_others_waits_for_the_next_process(tmp_path: Path, format_: Any) -> None:
    """The driver died: what its actors had sealed is neither lost nor shown too early."""
    clean, out = tmp_path / "clean", tmp_path / "out"
    fill(clean, format_, units(RECORDS))
    with open_run(out, FINGERPRINT, format_) as folder:
        folder.write_manifest({"fingerprint": FINGERPRINT, "format": format_, "total": 6})
    write(StagedParts(out, format_), units(RECORDS)[1:2])
    state = run_status(out)
    assert (state.done, state.left) == (2, 4)
    with open_run(out, FINGERPRINT, format_) as folder:
        assert (len(folder.receipts), list(folder.sealed)) == (0, [1])
    plan = plan_resume(
        out,
        map(entry_of, RECORDS),
        2,
        retry_when=failed_ones,
        settings=folder.settings,
        further_questions=folder.further_questions,
    )
    assert (plan.kept, plan.grown) == (2, True)
    assert fill(out, format_, units(RECORDS)) == ["d0", "d1", "d4", "d5"]
    assert files(out) == files(clean)
    assert not any((out / "_wip").iterdir())


def test_a_sealed_part_whose_record_changed_is_made_anew(tmp_path: Path) -> None:
    clean, out = tmp_path / "clean", tmp_path / "out"
    changed = [*RECORDS[:3], Record(3, "d3", text="Another text."), *RECORDS[4:]]
    fill(clean, "parquet", units(changed))
    fill(out, "parquet", [])
    write(StagedParts(out, "parquet"), units(RECORDS)[1:2])
    assert fill(out, "parquet", units(changed)) == ["d0", "d1", "d3", "d4", "d5"]
    assert files(out) == files(clean)


def test_the_next_part_is_put_in_its_place_when_the_folder_is_opened(tmp_path: Path) -> None:
    fill(tmp_path, "parquet", units(RECORDS[:2]))
    write(StagedParts(tmp_path, "parquet"), units(RECORDS)[1:])
    with open_run(tmp_path, FINGERPRINT, "parquet") as folder:
        assert [receipt.documents for receipt in folder.receipts] == [2, 2, 2]
        assert len((tmp_path / "errors.jsonl").read_text().splitlines()) == 1


def test_a_move_that_was_broken_off_is_finished(tmp_path: Path) -> None:
    clean, out = tmp_path / "clean", tmp_path / "out"
    fill(clean, "parquet", units(RECORDS))
    fill(out, "parquet", units(RECORDS[:2]))
    write(StagedParts(out, "parquet"), units(RECORDS)[1:2])
    waiting = out / "_wip" / "part-00001"
    shutil.move(waiting / "documents.parquet", out / "documents" / "part-00001.parquet")
    fill(out, "parquet", units(RECORDS))
    assert files(out) == files(clean)


def test_a_part_that_is_not_whole_takes_no_place(tmp_path: Path) -> None:
    with open_run(tmp_path, FINGERPRINT, "parquet") as folder:
        folder.write_manifest({"fingerprint": FINGERPRINT, "format": "parquet"})
        staged = StagedParts(tmp_path, "parquet")
        write(staged, units(RECORDS)[:1])
        (tmp_path / "_wip" / "part-00000" / "tokens.parquet").unlink()
        folder.sealed.update(staged.receipts)
        with pytest.raises(PartDamaged, match=r"tokens/part-00000\.parquet"):
            folder.place(0)
        assert len(folder.receipts) == 0


def test_what_a_killed_process_staged_and_never_sealed_is_removed(tmp_path: Path) -> None:
    fill(tmp_path, "parquet", units(RECORDS[:2]))
    half = tmp_path / "_wip" / "part-00003"
    half.mkdir(parents=True)
    (half / "documents.parquet").write_bytes(b"PAR1")
    with open_run(tmp_path, FINGERPRINT, "parquet") as folder:
        assert isinstance(folder, RunFolder)
        assert not half.exists()
