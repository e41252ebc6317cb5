"""Runs that are killed, starved of disk and damaged end as if nothing had happened.

`pytest tests/faults` takes the short form; `pytest -m faults_long` kills at least 50 times.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from nlp_pipeline import read_run
from nlp_pipeline.run_folder.status import run_status

pytestmark = [pytest.mark.faults, pytest.mark.timeout(280)]


def kill_until_done(stage, out: Path, chance: random.Random) -> int:
    """Kills runs in one folder at random points until one gets to its end; returns how many."""
    kills = 0
    while True:
        harm: dict[str, float] = {"kill": chance.randint(1, 150)}
        if chance.random() < 0.3:
            harm = {"kill_after": chance.uniform(0.1, 1.5)}
        code = stage.run(out, **harm).code
        if code == 3:
            stage.check(out)
            return kills
        assert code == -9
        kills += 1


def test_killed_at_random(stage, out) -> None:
    assert kill_until_done(stage, out, random.Random(4)) >= 2


@pytest.mark.faults_long
@pytest.mark.timeout(3600)
def test_killed_at_random_fifty_times(stage, out) -> None:
    chance, kills, runs = random.Random(5), 0, 0
    while kills < 50:
        kills += kill_until_done(stage, out, chance)
        shutil.rmtree(out)
        runs += 1
    assert runs > 1


def test_killed_while_it_makes_parts_anew(stage, out) -> None:
    """A finished run whose corpus then changes and grows, and whose failures are tried again."""
    whole = stage.corpus.read_text(encoding="utf-8")
    lines = whole.splitlines(keepends=True)
    lines[4] = lines[4].replace("Ada", "Eda")
    try:
        stage.corpus.write_text("".join(lines[:21]), encoding="utf-8")
        assert stage.run(out).code == 3
    finally:
        stage.corpus.write_text(whole, encoding="utf-8")
    for event in range(5, 250, 14):  # what fails is tried again each time: none gets to the end
        assert stage.run(out, kill=event).code == -9
        assert len(read_run(out, "documents")["documents"]) >= 16
    stage.finish(out)


@pytest.mark.parametrize("event", [1, 37, 91])
def test_the_disk_fills_up(stage, out, event) -> None:
    done = stage.run(out, full=event)
    assert done.code == 28
    assert "is full" in done.said
    assert "Traceback" not in done.said
    stage.finish(out)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def tear(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def zero(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def remove(file: Path) -> None:
    file.unlink()


def garble(file: Path) -> None:
    file.write_bytes(b"\xff\x00{" + file.read_bytes()[3:])


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        *(("documents/part-00001.parquet", harm) for harm in (cut, empty, zero, remove)),
        ("_receipts/part-00001.json", empty),
        ("_receipts/part-00000.json", cut),
        ("errors.jsonl", tear),
        ("errors.jsonl", remove),
        ("_wip/*.jsonl", cut),
        ("_wip/*.jsonl", garble),
        ("_wip/*.jsonl", zero),
    ],
)
def test_what_is_damaged_is_made_anew(
    stage, broken_off: Path, name: str, harm: Callable[[Path], None]
) -> None:
    harm(next(iter(broken_off.glob(name))))
    done = stage.finish(broken_off)
    assert "Traceback" not in done.said


def test_a_finished_run_is_looked_at_again(stage, out) -> None:
    stage.finish(out)
    cut(out / "tokens" / "part-00003.parquet")
    stage.finish(out)


def test_the_stage_harms_what_it_says(stage, broken_off) -> None:
    """A kill leaves parts, lines in the journal and no more; else the rest proves nothing."""
    assert len(read_run(broken_off, "documents")["documents"]) == 16 < stage.documents
    journals = [file.read_bytes() for file in (broken_off / "_wip").iterdir()]
    (torn,) = [text.splitlines(keepends=True) for text in journals if text[-1:] != b"\n"]
    assert len(torn) > 1


def test_retries_killed_at_many_points(stage, out) -> None:
    """What fails fails again: the tables are those of the run that nobody harmed."""
    stage.finish(out)
    kills = 0
    for event in range(1, 200, 23):
        code = stage.command("retry", out, "--quiet", kill=event).code
        assert code in (-9, 3)
        kills += code == -9
    assert kills > 4
    assert stage.command("retry", out, "--quiet").code == 3
    stage.check(out)
    assert run_status(out).state == "finished"
    assert stage.command("verify", out).code == 0


@pytest.mark.parametrize("format_", ["parquet", "csv"])
def test_exports_killed_at_every_point_leave_whole_files_or_none(stage, memory, format_) -> None:
    clean, target = memory / f"export-{format_}", memory / f"export-killed-{format_}"
    argv = ("--format", format_, "--table", "documents", "--table", "answers", "--table", "errors")
    assert stage.command("export", stage.clean, clean, *argv).code == 0
    whole = {path.name: path.read_bytes() for path in clean.iterdir()}
    assert len(whole) == 3
    kills = 0
    for event in range(1, 30):
        code = stage.command("export", stage.clean, target, *argv, kill=event).code
        there = {p.name: p.read_bytes() for p in target.iterdir() if not p.name.startswith(".")}
        assert there.items() <= whole.items()
        kills += code == -9
        if code == 0:
            break
    assert kills >= 3
    assert {path.name: path.read_bytes() for path in target.iterdir()} == whole
    assert stage.command("export", stage.clean, target, *argv, full=2).code == 28
    assert {path.name: path.read_bytes() for path in target.iterdir()} == whole


def test_reports_killed_at_every_point_leave_the_old_page(stage, memory) -> None:
    page = memory / "page" / "report.html"
    argv = ("report", stage.clean, "--file", page)
    assert stage.command(*argv, "--title", "Old").code == 0
    old, kills = page.read_bytes(), 0
    for event in range(1, 30):
        code = stage.command(*argv, "--title", "New", kill=event).code
        if code == 0:
            break
        assert code == -9
        kills += 1
        assert page.read_bytes().endswith(old[-20:])
    assert kills >= 2
    assert [path.name for path in page.parent.iterdir()] == ["report.html"]


@pytest.mark.faults_long
@pytest.mark.timeout(3600)
def test_killed_at_random_with_workers(stage, out) -> None:
    """The linguistic pipes in two processes of their own, which die with the run."""
    chance, kills = random.Random(6), 0
    while kills < 10:
        code = stage.run(out, "--n-process", "2", kill=chance.randint(1, 150)).code
        if code == 3:
            stage.check(out)
            shutil.rmtree(out)
            continue
        assert code == -9
        kills += 1
