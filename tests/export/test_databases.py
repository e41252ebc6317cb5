"""A run as a database: tables, views, and what the columns mean."""

from __future__ import annotations

import builtins
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline import read_run
from nlp_pipeline.errors.export import ExtraMissing, NotADatabase
from nlp_pipeline.export.job import export_run
from nlp_pipeline.tables.schemas import TABLES

FORMS = ["duckdb", "sqlite"]


@pytest.fixture(params=FORMS)
def query(request: pytest.FixtureRequest, meta_run: Path, tmp_path: Path) -> Callable[..., Any]:
    """Exports the run, twice as people do, and asks the database."""
    form = request.param
    file = tmp_path / f"run.{form}"

    def ask(sql: str, **options: Any) -> list[Any]:
        for _ in range(2):
            assert export_run(meta_run, file, form, **options) == [file]
        if form == "sqlite":
            with closing(sqlite3.connect(file)) as database:
                return database.execute(sql).fetchall()
        duckdb = pytest.importorskip("duckdb")
        with duckdb.connect(str(file)) as database:
            rows: list[Any] = database.execute(sql).fetchall()
            return rows

    return ask


def test_all_rows_are_there_once(query: Callable[..., Any], meta_run: Path) -> None:
    counts = " union all ".join(f'select count(*) from "{name}"' for name in TABLES)
    assert [n for (n,) in query(counts)] == [len(frame) for frame in read_run(meta_run).values()]


def test_answers_come_with_the_text_of_their_document(query: Callable[..., Any]) -> None:
    rows = query(
        "select document_id, text, question, source is not null, status from answers_with_text "
        "where length(text) < 50 order by document_id"
    )
    assert rows == [
        ("a", "=1+1 said Ada.", "Who is named?", True, "ok"),
        ("b", "Grace met Ada. Ada left.", "Who is named?", True, "ok"),
    ]


def test_meta_can_be_columns(query: Callable[..., Any]) -> None:
    sql = 'select "meta.n", "meta.author_2" from answers_with_text order by document_id'
    assert query(sql, flatten_meta=True)[:3] == [(1.0, "Ada"), (2.5, None), (None, "7")]


def test_a_view_needs_its_tables(query: Callable[..., Any]) -> None:
    names = "select name from {} where type = 'view'"
    sql = "select table_name from information_schema.tables where table_type = 'VIEW'"
    try:
        rows = query(sql, tables=["answers", "entities"])
    except sqlite3.OperationalError:
        rows = query(names.format("sqlite_master"), tables=["answers", "entities"])
    assert rows == [("entities_by_document",)]


@pytest.mark.parametrize("form", FORMS)
def test_entities_are_counted(nlp_en, tmp_path: Path, corpus, cli, form: str) -> None:
    source = corpus({"id": "a", "text": "Ada Lovelace met Karl Berg. Ada Lovelace left Paris."})
    assert cli("run", source, "-p", "en_qa", "--echo", "-o", tmp_path / "out").code == 0
    file = tmp_path / "run.db"
    export_run(tmp_path / "out", file, form, ["entities"])
    sql = "select text, label, mentions, first_start_char from entities_by_document order by 3 desc"
    if form == "sqlite":
        with closing(sqlite3.connect(file)) as database:
            (first, *_) = database.execute(sql).fetchall()
    else:
        with pytest.importorskip("duckdb").connect(str(file)) as database:
            (first, *_) = database.execute(sql).fetchall()
    assert first == ("Ada Lovelace", "PERSON", 2, 0)


def test_duckdb_says_what_a_column_means(meta_run: Path, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    export_run(meta_run, tmp_path / "run.duckdb", "duckdb")
    sql = "select comment from duckdb_columns() where table_name = ? and column_name = ?"
    with duckdb.connect(str(tmp_path / "run.duckdb")) as database:
        for table, column, meaning in (
            ("tokens", "lemma", "base form"),
            ("answers_with_text", "n_chars", "length of the text in code points"),
            ("answers_with_text", "question", "the question"),
        ):
            assert database.execute(sql, [table, column]).fetchall() == [(meaning,)]


def test_sqlite_keeps_what_a_column_means_in_its_schema(meta_run: Path, tmp_path: Path) -> None:
    export_run(meta_run, tmp_path / "run.sqlite", "sqlite", ["tokens"])
    with closing(sqlite3.connect(tmp_path / "run.sqlite")) as database:
        ((sql,),) = database.execute("select sql from sqlite_master where name = 'tokens'")
    assert '"lemma" TEXT /* base form */' in sql
    assert '"is_stop" INTEGER /* whether it is a stop word */' in sql


@pytest.mark.parametrize("form", FORMS)
def test_a_file_of_another_kind_stays_as_it_is(meta_run: Path, tmp_path: Path, form: str) -> None:
    if form == "duckdb":
        pytest.importorskip("duckdb")
    file = tmp_path / "notes.txt"
    file.write_text("no database " * 1000, encoding="utf-8")
    with pytest.raises(NotADatabase, match=r"notes\.txt' cannot be written to as a .* database \("):
        export_run(meta_run, file, form)
    assert file.read_text(encoding="utf-8") == "no database " * 1000


@pytest.mark.parametrize("form", FORMS)
def test_other_tables_of_a_database_stay(meta_run: Path, tmp_path: Path, form: str) -> None:
    connect = sqlite3.connect if form == "sqlite" else pytest.importorskip("duckdb").connect
    with closing(connect(str(tmp_path / "db"))) as database:
        database.execute("create table mine (x integer)")
        database.execute("insert into mine values (7)")
        database.commit()
    export_run(meta_run, tmp_path / "db", form, ["documents"])
    with closing(connect(str(tmp_path / "db"))) as database:
        assert database.execute("select x from mine").fetchall() == [(7,)]


@pytest.mark.parametrize(
    ("form", "module", "message"),
    [
        ("duckdb", "duckdb", r"Exporting to DuckDB needs .*: type `pip install 'duckdb>=1\.1,<3'`"),
        (
            "xlsx",
            "openpyxl",
            r"Exporting to Excel needs .*: type `pip install 'openpyxl>=3\.1,<4'`",
        ),
    ],
)
def test_an_extra_that_is_not_there(
    meta_run: Path, tmp_path: Path, monkeypatch, form: str, module: str, message: str
) -> None:
    actual = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == module:
            raise ImportError(name)
        return actual(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ExtraMissing, match=message):
        export_run(meta_run, tmp_path / "file", form)
