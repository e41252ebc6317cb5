"""One file a table, for other tools."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from nlp_pipeline import read_run
from nlp_pipeline.errors.export import (
    TargetInARun,
    TargetIsAFolder,
    TargetIsNoFolder,
    TargetIsTheCorpus,
    TargetNamedAsFile,
    TargetNotWritable,
    TargetSuffix,
    TargetUnderAFile,
    UnknownTarget,
)
from nlp_pipeline.errors.run_folder import TableNotFound
from nlp_pipeline.export.export_targets import TARGETS, writer_of
from nlp_pipeline.export.job import export_run
from nlp_pipeline.run_folder.spreadsheet import FREE_TEXT, would_run
from nlp_pipeline.runner import run as runner
from nlp_pipeline.tables.schemas import SCHEMAS, TABLES


@pytest.fixture
def out(tmp_path, quick, corpus):
    """A run in two parts with a text that a spreadsheet would run."""
    source = corpus("=1+1 said Ada.", 'Grace, "quoted"\nwrote it.', "Third.")
    runner.run(source, tmp_path / "out", pipeline=quick(), part_size=2)
    return tmp_path / "out"


def test_parquet_holds_the_rows_of_all_parts(out, tmp_path) -> None:
    files = export_run(out, tmp_path / "tables")
    assert [file.name for file in files] == [f"{name}.parquet" for name in TABLES]
    found = pd.read_parquet(tmp_path / "tables" / "tokens.parquet")
    assert found["text"].tolist() == read_run(out)["tokens"]["text"].tolist()


def test_csv_runs_no_formula(out, tmp_path) -> None:
    (file,) = export_run(out, tmp_path / "tables", "csv", ["documents"])
    texts = pd.read_csv(file)["text"].tolist()
    assert texts == ["'=1+1 said Ada.", 'Grace, "quoted"\nwrote it.', "Third."]


def test_csv_says_what_it_changed_and_raw_changes_nothing(out, tmp_path, cli) -> None:
    options = ("--format", "csv", "--table", "documents")
    done = cli("export", out, tmp_path / "a", *options)
    assert done.err == (
        "documents.csv: a quote (') was put before 1 text that a spreadsheet would run as "
        "formulas; --raw leaves them as they are.\n"
    )
    raw = cli("export", out, tmp_path / "b", *options, "--raw")
    assert (raw.code, raw.err) == (0, "")
    assert pd.read_csv(tmp_path / "b" / "documents.csv")["text"][0] == "=1+1 said Ada."


def test_annotation_stays_as_it_is(tmp_path, corpus, cli) -> None:
    text = "The mill (near Graz) froze at -12 degrees. -- Ada @home + 1"
    source = corpus({"id": "-7", "text": text}, {"id": "=me", "text": "- and so on"})
    out = tmp_path / "out"
    assert cli("run", source, "-p", "en_qa", "--echo", "-o", out).code == 0
    cli("export", out, tmp_path / "tables", "--format", "csv")
    plain: dict[str, Any] = {"dtype": str, "keep_default_na": False}
    written, run = pd.read_csv(tmp_path / "tables" / "tokens.csv", **plain), read_run(out)["tokens"]
    assert "-LRB-" in set(written["tag"])
    for column in ("text", "lemma", "tag", "dep", "pos"):
        assert written[column].tolist() == run[column].fillna("").tolist(), column
    documents = pd.read_csv(tmp_path / "tables" / "documents.csv", **plain)
    assert documents["document_id"].tolist() == ["-7", "'=me"]
    assert documents["text"].tolist() == [text, "- and so on"]


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "= A1", "@SUM(A1)", "+SUM(A1)", "-1+2", "+A1", "-cmd|' /C calc'!A0"),
        *("\t=1+1", "\r\n=1", " =1", "＝1+1", "＠SUM(1)", "+=1", "-$B$2", "--2+3", "+12%*2"),
        '=HYPERLINK("http://x","y")',
        "-2+3+cmd|' /C calc'!A0",
    ],
)
def test_what_a_spreadsheet_would_run(text: str) -> None:
    assert would_run(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "-", "--", "=", "==", "@", "+", "-12", "+3.5", "-1,200.50", "- 12", "−12", "-12%"),
        *(
            "-LRB-",
            "- and so on",
            "-ing",
            "+ more",
            "— dash",
            "a=1",
            "1+1",
            "'=1",
            "-5 €",
            "-1e5",
            "@me",
        ),
    ],
)
def test_what_a_spreadsheet_would_not_run(text: str) -> None:
    assert not would_run(text)


def test_the_columns_of_free_text_are_there() -> None:
    assert set(FREE_TEXT) == set(SCHEMAS)
    for table, columns in FREE_TEXT.items():
        assert set(columns) - {"reasoning"} <= set(SCHEMAS[table].names), table


def test_every_target_has_its_writer() -> None:
    assert [writer_of(target).__name__ for target in TARGETS.values()] == [
        f"write_{name.replace('-', '_')}" for name in TARGETS
    ]


def test_targets_that_cannot_be(out, tmp_path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UnknownTarget, match=r"cannot be exported to 'xml'; there are: parquet, "):
        export_run(out, tmp_path / "tables", "xml")
    with pytest.raises(TargetIsNoFolder, match=r"file' is a file, and csv is a folder of files"):
        export_run(out, tmp_path / "file", "csv")
    with pytest.raises(TargetIsAFolder, match=r"squad is one file: .*/run\.json'"):
        export_run(out, tmp_path, "squad")
    with pytest.raises(TargetIsAFolder, match=r"is a folder, and xlsx is one file: .*/run\.xlsx'"):
        export_run(out, tmp_path, "xlsx")


@pytest.mark.parametrize("target", ["out", "out/tables", "link/a/b.sqlite"])
def test_a_run_holds_nothing_but_its_own(out, tmp_path, quick, target) -> None:
    (tmp_path / "link").symlink_to(out)
    before = sorted(out.rglob("*"))
    with pytest.raises(
        TargetInARun, match=r"is part of the folder of the run '.*/out', .*exported'"
    ):
        export_run(out, tmp_path / target, "sqlite" if "sqlite" in target else "parquet")
    other = runner.run(tmp_path / "corpus.jsonl", tmp_path / "b", pipeline=quick())
    with pytest.raises(TargetInARun, match=r"of the run '.*/b', which"):
        export_run(out, other.out / "tables", "csv")
    assert sorted(out.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "to", "message"),
    [
        (
            "answers.csv",
            "parquet",
            r"answers\.csv' is the name of a file, and parquet is a folder of files: name a "
            r"folder, such as '.*/answers', or add --to csv if that is meant\.$",
        ),
        ("answers.CSV", "csv", r"name a folder, such as '.*/answers'\.$"),
        ("run.xlsx", "jsonl", r"or add --to xlsx if that is meant\.$"),
        ("run.db", "parquet", r"or add --to duckdb or --to sqlite if that is meant\.$"),
    ],
)
def test_a_folder_that_is_named_as_a_file(out, tmp_path, name, to, message) -> None:
    with pytest.raises(TargetNamedAsFile, match=message):
        export_run(out, tmp_path / name, to)
    assert not (tmp_path / name).exists()
    (tmp_path / name).mkdir()  # whoever has made it means it
    assert export_run(out, tmp_path / name, "jsonl", ["documents"])


def test_folders_may_have_a_dot_in_their_name(out, tmp_path) -> None:
    assert export_run(out, tmp_path / "version.2", "csv", ["documents"])


@pytest.mark.parametrize(
    ("name", "to", "message"),
    [
        (
            "a.csv",
            "xlsx",
            r"a\.csv' does not end as .* of xlsx \(\.xlsx\): name it '.*/a\.xlsx', or ",
        ),
        ("a.jsonl", "squad", r"of squad \(\.json\): name it '.*/a\.json', or name another form"),
        ("a.b.xls", "sqlite", r"\(\.sqlite, \.sqlite3, \.db\): name it '.*/a\.b\.sqlite', or"),
    ],
)
def test_a_file_that_is_named_as_another_form(out, tmp_path, name, to, message) -> None:
    with pytest.raises(TargetSuffix, match=message):
        export_run(out, tmp_path / name, to)
    assert not (tmp_path / name).exists()


def test_a_target_below_a_file(out, tmp_path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for target, to in (("file/tables", "csv"), ("file/a/b.json", "squad")):
        with pytest.raises(TargetUnderAFile, match=r"cannot be made: '.*/file' is a file and no f"):
            export_run(out, tmp_path / target, to)


def test_the_corpus_is_not_written_over(out, tmp_path, corpus, quick, monkeypatch) -> None:
    source = tmp_path / "corpus.jsonl"
    before = source.read_bytes()
    with pytest.raises(
        TargetIsTheCorpus, match=r"^'.*corpus\.jsonl' is a file of the corpus of th"
    ):
        export_run(out, source, "review")
    source.rename(tmp_path / "documents.jsonl")
    monkeypatch.chdir(tmp_path)
    runner.run("documents.jsonl", "second", pipeline=quick())
    with pytest.raises(TargetIsTheCorpus, match=r"\('documents\.jsonl'\) and would be written ov"):
        export_run("second", tmp_path, "jsonl")
    assert (tmp_path / "documents.jsonl").read_bytes() == before
    assert export_run("second", tmp_path, "jsonl", ["answers"])


def test_a_target_that_cannot_be_written_to(out, tmp_path, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(
        TargetNotWritable, match=r"to \(Permission denied\)\. Name another path, or"
    ):
        export_run(out, tmp_path / "tables")


def test_the_former_name_of_the_option(out, tmp_path, cli) -> None:
    done = cli("export", out, tmp_path / "tables", "--format", "jsonl", "--table", "errors")
    assert (done.code, done.out) == (0, f"{tmp_path / 'tables' / 'errors.jsonl'}\n")


def test_no_such_table(out, tmp_path) -> None:
    with pytest.raises(TableNotFound, match="There is no table 'token'; the tables are: documents"):
        export_run(out, tmp_path / "tables", tables=["token"])
