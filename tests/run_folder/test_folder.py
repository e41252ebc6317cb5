"""The run folder: its order of writing, what it refuses, what it survives."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from nlp_pipeline.errors.run_folder import (
    DifferentRun,
    DiskFull,
    OutputNotARun,
    OutputNotWritable,
    PartDamaged,
    RunLocked,
)
from nlp_pipeline.run_folder import files, receipts
from nlp_pipeline.run_folder.folder import MANIFEST, open_run, read_manifest
from nlp_pipeline.run_folder.lock import LOCK, is_held, locked
from nlp_pipeline.tables import TABLES
from nlp_pipeline.tables.frames import iter_tables

MARK = {"corpus": {"a.jsonl": "1" * 64}, "limit": None, "generators": [{"model": "m"}]}


def tables(errors: int = 0) -> dict[str, pa.Table]:
    error = {"document_id": "a", "stage": "read", "type": "x", "message": "é\n", "attempt": 1}
    return dict(iter_tables({"errors": [{**error, "retryable": False}] * errors}))


def begin(out: Path, parts: int = 1, errors: int = 0, mark: dict = MARK, **options) -> None:
    with open_run(out, mark, "parquet", **options) as folder:
        folder.write_manifest({"fingerprint": mark, "state": "running", "format": "parquet"})
        for _ in range(parts):
            folder.commit(tables(errors), documents=3, failed=0, output_tokens=0)


def tree(out: Path) -> set[str]:
    return {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}


def test_the_receipt_is_the_last_file_of_a_part(tmp_path, monkeypatch) -> None:
    replaced: list[str] = []
    real = os.replace

    def replace(source, target) -> None:
        real(source, target)
        replaced.append(str(Path(target).relative_to(tmp_path)))

    monkeypatch.setattr(files.os, "replace", replace)
    begin(tmp_path, parts=2)
    names = [f"{name}/part-00001.parquet" for name in TABLES]
    last = ["_ledger/part-00001.jsonl", "_receipts/part-00001.json"]
    assert replaced[-len(names) - 2 :] == [*names, *last]
    receipt = json.loads((tmp_path / "_receipts" / "part-00001.json").read_text())
    assert (receipt["part"], receipt["documents"]) == (1, 3)
    assert receipt["rows"] == dict.fromkeys(TABLES, 0)
    assert not [name for name in tree(tmp_path) if ".tmp-" in name]


@pytest.mark.parametrize("format_", ["parquet", "csv", "jsonl"])
def test_the_end_counts_the_rows_that_this_process_wrote_and_weighs_the_rest(
    tmp_path, monkeypatch, format_
) -> None:
    counted: list[str] = []
    rows = receipts._rows

    def counting(file: Path, *more: Any) -> int:
        if file.parent.name == "documents":
            counted.append(file.stem)
        return rows(file, *more)

    monkeypatch.setattr(receipts, "_rows", counting)
    with open_run(tmp_path, MARK, format_) as folder:
        folder.write_manifest({"fingerprint": MARK})
        folder.commit(tables(), documents=1, failed=0, output_tokens=0)
    with open_run(tmp_path, MARK, format_) as folder:
        assert counted == ["part-00000"]
        folder.commit(tables(), documents=1, failed=0, output_tokens=0)
        folder.close_books()
        assert counted == ["part-00000", "part-00001"]
        for part in ("part-00000", "part-00001"):
            file = tmp_path / "documents" / f"{part}.{format_}"
            whole = file.read_bytes()
            file.write_bytes(whole + b"\n")
            with pytest.raises(PartDamaged, match=f"{part}.*{len(whole)} bytes"):
                folder.close_books()
            file.write_bytes(whole)


def test_errors_are_lines_that_grow_by_part(tmp_path) -> None:
    begin(tmp_path, parts=2, errors=2)
    lines = (tmp_path / "errors.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["é\n"] * 4


def test_a_part_without_its_receipt_was_never_there(tmp_path) -> None:
    begin(tmp_path, parts=2, errors=1)
    (tmp_path / "_receipts" / "part-00001.json").unlink()
    with open_run(tmp_path, MARK, "parquet") as folder:
        assert folder.documents_done == 3
        folder.commit(tables(errors=3), documents=2, failed=0, output_tokens=0)
    assert len((tmp_path / "errors.jsonl").read_text(encoding="utf-8").splitlines()) == 4


def test_nothing_counts_after_a_gap(tmp_path) -> None:
    begin(tmp_path, parts=3)
    (tmp_path / "_receipts" / "part-00001.json").unlink()
    with open_run(tmp_path, MARK, "parquet") as folder:
        assert [receipt.part for receipt in folder.receipts] == [0]


def test_temporary_files_of_killed_processes_are_swept(tmp_path) -> None:
    begin(tmp_path)
    left = [tmp_path / name for name in ("", "tokens", "_receipts")]
    for folder in left:
        (folder / ".part-00001.parquet.tmp-12345").write_text("half")
    with open_run(tmp_path, MARK, "parquet"):
        assert not [name for name in tree(tmp_path) if ".tmp-" in name]


def test_a_busy_folder_says_who_holds_it(tmp_path) -> None:
    with open_run(tmp_path, MARK, "parquet"):
        with pytest.raises(RunLocked) as error, open_run(tmp_path, MARK, "parquet"):
            pass
        assert error.value.exit_code == 75
        assert f"(process {os.getpid()})" in str(error.value)
    begin(tmp_path)


def test_the_holder_is_named_however_often_it_is_asked_for(tmp_path) -> None:
    """filelock 3 empties the file when it tries in vain."""
    with locked(tmp_path):
        for _ in range(2):
            assert is_held(tmp_path)
            with pytest.raises(RunLocked, match=rf"\(process {os.getpid()}\)"), locked(tmp_path):
                pass
    assert not is_held(tmp_path)
    assert not is_held(tmp_path / "elsewhere")


def test_a_lock_may_be_released_in_another_thread(tmp_path) -> None:
    held = locked(tmp_path)
    held.__enter__()
    thread = threading.Thread(target=held.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    assert not is_held(tmp_path)


def test_another_fingerprint_is_refused_and_the_difference_named(tmp_path) -> None:
    begin(tmp_path)
    now = {**MARK, "corpus": {"a.jsonl": "1" * 63 + "2"}, "generators": [{"model": "n\x1b"}]}
    with pytest.raises(DifferentRun) as error, open_run(tmp_path, {**now, "new": 1}, "parquet"):
        pass
    assert error.value.exit_code == 65
    assert str(error.value) == (
        f"The output folder '{tmp_path}' holds a different run. What differs (then → now):\n"
        f"  corpus.a.jsonl: {'1' * 64} → {'1' * 63}2\n"
        "  generators.0.model: m → n\\x1b\n"
        "  new: (none) → 1\n"
        "Name another folder with --out, or start over in this one with --fresh."
    )
    begin(tmp_path)


def test_a_long_difference_is_shown_from_where_it_begins(tmp_path) -> None:
    text = "What is the name of the person? " * 20
    error = DifferentRun("out", {"q": (text + "Who?", text + "Where?")})
    assert "q: …me of the person? Who? → …me of the person? Where?" in str(error)


def test_a_run_of_which_nothing_is_done_may_change(tmp_path) -> None:
    """`run x.csv` says "name the column with --text-key": that must not need --fresh then."""
    begin(tmp_path, parts=0)
    begin(tmp_path, parts=1, mark={**MARK, "text_key": "body"})


def test_fresh_starts_over_and_keeps_what_is_not_ours(tmp_path) -> None:
    begin(tmp_path, parts=2, errors=1)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "config.cfg").write_text("old")
    begin(tmp_path, parts=0, mark={"other": 1}, fresh=True)
    assert tree(tmp_path) - {LOCK} == {MANIFEST, "notes.txt"}
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    assert manifest["fingerprint"] == {"other": 1}


def test_fresh_keeps_a_strangers_file_in_the_folder_of_a_table(tmp_path) -> None:
    begin(tmp_path, parts=2, errors=1)
    theirs = ["documents/notes.md", "_receipts/x.json", "tokens/part-1.parquet.bak", "_wip/a/b.txt"]
    for name in theirs:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("theirs")
    begin(tmp_path, parts=1, fresh=True)
    assert all((tmp_path / name).read_text() == "theirs" for name in theirs)
    assert not (tmp_path / "documents" / "part-00001.parquet").exists()
    assert not (tmp_path / "_receipts" / "part-00001.json").exists()


def test_a_process_killed_while_it_cleared_leaves_nothing_half(tmp_path, monkeypatch) -> None:
    begin(tmp_path, parts=2)
    manifest = {**(read_manifest(tmp_path) or {}), "state": "finished"}
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nlp_pipeline.run_folder.folder._clear_room", die)
    with pytest.raises(KeyboardInterrupt):
        begin(tmp_path, fresh=True)
    monkeypatch.undo()
    with open_run(tmp_path, MARK, "parquet") as folder:
        assert len(folder.receipts) == 0
        assert not (tmp_path / "tokens").exists()


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("thesis.docx", ""),
        ("documents/a.parquet", ""),
        ("_receipts/part-00000.json", "{}"),
        ("manifest.json", '{"name": "a web page\'s", "icons": []}'),
        ("manifest.json", "no json"),
    ],
)
def test_a_folder_with_something_else_is_left_alone(tmp_path, name, content, fresh) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(content)
    with pytest.raises(OutputNotARun) as error:
        begin(tmp_path, fresh=fresh)
    assert error.value.exit_code == 1
    assert f"it has: {Path(name).parts[0]}" in str(error.value)
    assert tree(tmp_path) == {name}


def test_what_a_killed_beginning_left_is_no_stranger(tmp_path) -> None:
    (tmp_path / "_receipts").mkdir()
    (tmp_path / "_input").mkdir()
    (tmp_path / ".manifest.json.tmp-99").write_text("half")
    (tmp_path / ".lock").write_text("process 99")
    begin(tmp_path)


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere/out", "locked"])
def test_a_folder_that_cannot_be(tmp_path, place) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "locked" / ".lock").mkdir(parents=True)
    with pytest.raises(OutputNotWritable) as error:
        begin(tmp_path / place)
    assert str(error.value).endswith("Name another with --out.")
    assert error.value.exit_code == 1


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 256 kB, where the system lets us have one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs root and mount")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_keeps_what_is_safe_and_the_run_goes_on_when_there_is_room(small_disk) -> None:
    out = small_disk / "out"
    begin(out, parts=1, errors=1)
    before = tree(out)
    with (small_disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(b"x" * 4096)
    with open_run(out, MARK, "parquet") as folder, pytest.raises(DiskFull) as error:
        folder.commit(tables(errors=50), documents=3, failed=0, output_tokens=0)
    assert error.value.exit_code == 28
    assert "3 documents are safe" in str(error.value)
    assert not [name for name in tree(out) if ".tmp-" in name]
    assert before <= tree(out)
    assert len((out / "errors.jsonl").read_text(encoding="utf-8").splitlines()) == 1
    (small_disk / "ballast").unlink()
    begin(out, parts=1, errors=1)
    assert len((out / "errors.jsonl").read_text(encoding="utf-8").splitlines()) == 2
