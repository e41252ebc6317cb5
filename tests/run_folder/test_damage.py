"""Nothing is shown as whole that is not: lost receipts, flipped bits, files that cannot be read."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nlp_pipeline import read_run
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.run_folder import PartDamaged, ReceiptDamaged
from nlp_pipeline.export.job import export_run
from nlp_pipeline.report import write_report
from nlp_pipeline.run_folder.files import Format
from nlp_pipeline.run_folder.folder import MANIFEST
from nlp_pipeline.run_folder.read import document_rows, iter_rows, row_counts
from nlp_pipeline.run_folder.status import run_status
from nlp_pipeline.runner.run import run
from nlp_pipeline.tables import TABLES

FORMATS: tuple[Format, ...] = ("parquet", "csv", "jsonl")


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, quick_text: str) -> Path:
    """A finished run of seven records in three parts, one in each format of tables."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "quick.cfg").write_text(quick_text, encoding="utf-8")
    texts = [f'Ada met {n} people. \u2028They said "no".' for n in range(6)]
    lines = [json.dumps({"id": f"d{n}", "text": text}) for n, text in enumerate(texts)]
    (folder / "corpus.jsonl").write_text("\n".join([*lines, "{broken"]), encoding="utf-8")
    for format_ in FORMATS:
        go(folder, folder / format_, format_)
    return folder


def go(runs: Path, out: Path, format_: Format = "parquet") -> None:
    pipeline = str(runs / "quick.cfg")
    run(runs / "corpus.jsonl", out, pipeline=pipeline, part_size=3, format=format_)


@pytest.fixture
def out(runs: Path, tmp_path: Path) -> Path:
    """A copy of the run in Parquet, to be harmed."""
    shutil.copytree(runs / "parquet", tmp_path / "out")
    return tmp_path / "out"


def empty(file: Path) -> None:
    file.write_bytes(b"")


def change(file: Path) -> None:
    file.write_text(file.read_text().replace('"failed": 0', '"failed": 1'))


HARMS = [
    ("part-00000.json", empty, "cannot be read", 0),
    ("part-00000.json", Path.unlink, "is missing", 0),
    ("part-00001.json", Path.unlink, "is missing", 3),
    ("part-00001.json", change, "cannot be read", 3),
    ("part-00002.json", empty, "cannot be read", 6),
    ("part-00002.json", Path.unlink, "is missing", 6),
]


@pytest.mark.parametrize(("name", "harm", "problem", "done"), HARMS)
def test_a_lost_receipt_is_said_by_whoever_reads(
    out: Path,
    tmp_path: Path,
    cli: Any,
    name: str,
    harm: Callable[[Path], None],
    problem: str,
    done: int,
) -> None:
    harm(out / "_receipts" / name)
    readers: list[Callable[[], object]] = [
        lambda: read_run(out),
        lambda: read_run(out, "answers", first=1),
        lambda: run_status(out),
        lambda: row_counts(out),
        lambda: list(iter_rows(out, "documents")),
        lambda: document_rows(out, "d0"),
        lambda: export_run(out, tmp_path / "tables"),
        lambda: write_report(out, tmp_path / "report.html"),
    ]
    for read in readers:
        with pytest.raises(ReceiptDamaged) as error:
            read()
        assert str(error.value).startswith(
            f"The run in '{out}' is damaged: its receipt _receipts/{name} {problem}, and what "
            f"comes before it is {done} of 7 documents."
        )
    for command in (["status", out], ["export", out, tmp_path / "t"], ["report", out]):
        ended = cli(*command)
        assert ended.code == 1
        assert f"_receipts/{name} {problem}" in ended.err
        assert ended.out == ""
    assert not (tmp_path / "report.html").exists()


def test_the_message_names_the_command_that_heals(out: Path) -> None:
    manifest = json.loads((out / MANIFEST).read_text())
    (out / "_receipts" / "part-00001.json").unlink()
    for command, end in (
        (["run", "a b.jsonl", "--fresh", "-o", "x"], "type:\n  nlp-pipeline run 'a b.jsonl' -o x"),
        (["-m", "pytest"], "call `run` again as before, with the corpus"),
        ([], "call `run` again as before, with the corpus"),
    ):
        (out / MANIFEST).write_text(json.dumps({**manifest, "command": command}))
        with pytest.raises(ReceiptDamaged) as error:
            run_status(out)
        assert f"To make the rest anew, {end}" in str(error.value)


@pytest.mark.parametrize(("name", "harm"), [(name, harm) for name, harm, _, _ in HARMS])
def test_the_same_run_again_heals_it(
    runs: Path, out: Path, name: str, harm: Callable[[Path], None]
) -> None:
    harm(out / "_receipts" / name)
    go(runs, out)
    same(read_run(out), read_run(runs / "parquet"))
    assert run_status(out).done == 7


def test_a_gap_in_a_run_that_is_going_on_is_one(out: Path) -> None:
    manifest = json.loads((out / MANIFEST).read_text())
    (out / MANIFEST).write_text(json.dumps({**manifest, "state": "running"}))
    (out / "_receipts" / "part-00002.json").unlink()
    assert run_status(out).done == 6
    assert len(read_run(out, "documents")["documents"]) == 6
    (out / "_receipts" / "part-00000.json").unlink()
    with pytest.raises(ReceiptDamaged, match=r"part-00000.json is missing.* is 0 documents"):
        run_status(out)


def same(left: dict[str, pd.DataFrame], right: dict[str, pd.DataFrame]) -> None:
    for name in TABLES:
        pd.testing.assert_frame_equal(left[name], right[name], check_exact=True, obj=name)


def flip(file: Path, dice: random.Random) -> None:
    data = bytearray(file.read_bytes())
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    file.write_bytes(data)


@pytest.mark.parametrize("format_", FORMATS)
def test_a_flipped_bit_is_noticed_or_changes_nothing(
    runs: Path, tmp_path: Path, format_: Format
) -> None:
    """Readers alone: the run is not opened for writing."""
    out = tmp_path / "out"
    shutil.copytree(runs / format_, out)
    clean = read_run(out)
    files = [file for name in TABLES for file in sorted((out / name).iterdir())]
    dice = random.Random(14)
    noticed = 0
    for _ in range(40):
        file = dice.choice([file for file in files if file.stat().st_size])
        whole = file.read_bytes()
        flip(file, dice)
        table = file.parent.name
        try:
            found = read_run(out, table)[table]
        except PartDamaged as error:
            assert str(error).startswith(f"The part {table}/{file.name} of the run in")  # noqa: PT017
            noticed += 1
        else:
            pd.testing.assert_frame_equal(found, clean[table], check_exact=True)
        file.write_bytes(whole)
    assert noticed > 20


@pytest.mark.parametrize("format_", FORMATS)
def test_a_flipped_bit_is_noticed_when_the_run_goes_on(
    runs: Path, tmp_path: Path, format_: Format
) -> None:
    out = tmp_path / "out"
    shutil.copytree(runs / format_, out)
    clean = read_run(out)
    dice = random.Random(41)
    for name in ("documents", "answers", "errors", "sentences"):
        file = out / name / f"part-0000{dice.randrange(3)}.{format_}"
        whole = file.read_bytes()
        if whole:
            flip(file, dice)
            go(runs, out, format_)
            same(read_run(out), clean)


def test_a_run_of_before_digests_goes_on_and_is_read(runs: Path, out: Path) -> None:
    clean = read_run(out)
    for file in (out / "_receipts").iterdir():
        receipt = json.loads(file.read_text())
        del receipt["digests"], receipt["check"]
        file.write_text(json.dumps(receipt))
    same(read_run(out), clean)
    before = {file: file.stat().st_mtime_ns for file in out.glob("*/part-*.parquet")}
    go(runs, out)
    assert before == {file: file.stat().st_mtime_ns for file in out.glob("*/part-*.parquet")}
    same(read_run(out), clean)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("content", [b"", b"PAR1", b"\xff\xfe{", bytes(3000)])
def test_a_file_that_cannot_be_read_is_named(
    runs: Path, tmp_path: Path, format_: Format, content: bytes
) -> None:
    out = tmp_path / "out"
    shutil.copytree(runs / format_, out)
    (out / "answers" / f"part-00001.{format_}").write_bytes(content)
    for read in (lambda: read_run(out), lambda: export_run(out, tmp_path / "x", "csv")):
        with pytest.raises(NlpPipelineError, match=rf"answers/part-00001\.{format_}"):
            read()


def test_a_part_that_is_made_anew_while_it_is_read_is_no_damage(out: Path) -> None:
    """Its files are in place before its receipt is."""
    shutil.copy(out / "documents" / "part-00002.parquet", out / "documents" / "part-00001.parquet")
    with pytest.raises(PartDamaged, match="its receipt says 3 rows, and it has 1"):
        read_run(out, "documents")
    (out / "_wip" / "part-00001").mkdir(parents=True)
    assert len(read_run(out, "documents")["documents"]) == 5


# verify


def test_verify_finds_nothing_in_a_whole_run(runs: Path, cli: Any) -> None:
    for format_ in FORMATS:
        ended = cli("verify", runs / format_)
        assert (ended.code, ended.err) == (0, "")
        files = 3 * len(TABLES)
        assert ended.out == f"All is whole: 7 documents in 3 parts, {files} files.\n"


def test_verify_says_what_has_no_digest(out: Path, cli: Any) -> None:
    file = out / "_receipts" / "part-00001.json"
    receipt = json.loads(file.read_text())
    del receipt["digests"], receipt["check"]
    file.write_text(json.dumps(receipt))
    ended = cli("verify", out)
    assert ended.code == 0
    assert ended.err.startswith(f"{len(TABLES)} of the files have no digest")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("documents/part-00001.parquet", "The part documents/part-00001.parquet of the run"),
        ("errors/part-00002.parquet", "The part errors/part-00002.parquet of the run"),
        ("_receipts/part-00000.json", "its receipt _receipts/part-00000.json cannot be read"),
        ("errors.jsonl", "The file errors.jsonl of the run"),
    ],
)
def test_verify_names_what_is_flipped_and_the_run_heals_it(
    runs: Path, out: Path, cli: Any, name: str, part: str
) -> None:
    flip(out / name, random.Random(7))
    ended = cli("verify", out)
    assert ended.code == 1
    assert part in ended.err
    assert "To make anew what is damaged, " in ended.err
    go(runs, out)
    assert cli("verify", out).code == 0


def test_verify_names_all_that_is_damaged(out: Path, cli: Any) -> None:
    (out / "tokens" / "part-00000.parquet").unlink()
    (out / "answers" / "part-00002.parquet").write_bytes(b"PAR1")
    ledger = out / "_ledger" / "part-00001.jsonl"
    ledger.write_text(ledger.read_text().splitlines()[0])
    said = cli("verify", out).err
    assert "tokens/part-00000.parquet" in said
    assert "answers/part-00002.parquet" in said
    assert "_ledger/part-00001.jsonl of the run" in said
    assert "it has 1 of 3 records" in said


def test_verify_of_no_run(tmp_path: Path, cli: Any) -> None:
    assert "holds no run" in cli("verify", tmp_path).err


def test_verify_and_show_know_what_people_have_judged(out: Path, tmp_path: Path, cli: Any) -> None:
    base = {"question_id": "who", "reviewer": "ada"}
    lines = [
        {**base, "document_id": "d0", "verdict": "correct", "text": "Ada", "note": "\x1b[1m"},
        {**base, "document_id": "d1", "verdict": "accept"},
    ]
    file = tmp_path / "review.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert cli("review", out, file).code == 0
    ended = cli("verify", out)
    assert ended.out.endswith("\n2 reviews can be read.\n")
    assert ended.err == ""
    shown = " ".join(cli("show", out, "d0").out.split())
    assert "Reviewed by ada: who: " in shown
    assert "is wrong; right is Ada (\\x1b[1m)" in shown
    assert "Reviewed" not in cli("show", out, "d2").out
    reviews = out / "reviews" / "part-00000.parquet"
    table = pq.read_table(reviews)
    digests = pa.array(["0" * 32, table["text_digest"][1].as_py()])
    pq.write_table(
        table.set_column(table.column_names.index("text_digest"), "text_digest", digests), reviews
    )
    assert cli("verify", out).err.startswith("1 of the reviews is of a document that the run lacks")
    assert "[of another text]" in cli("show", out, "d0").out
    empty(reviews)
    ended = cli("verify", out)
    assert ended.code == 1
    assert "Restore the file from a copy" in ended.err
