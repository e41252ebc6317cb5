"""A query to an SQLite or DuckDB file as a corpus."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline.corpus import Record, Reject, read_corpus
from nlp_pipeline.corpus.document_count import count_documents
from nlp_pipeline.errors.corpus import NoTextColumn
from nlp_pipeline.errors.database import (
    QueryFailed,
    QueryMissing,
    QueryNeedsADatabase,
    QueryWrites,
)

STATEMENTS = (
    "create table t (id integer, text varchar, day date, n double)",
    "insert into t values (1, 'One.', '2024-01-02', 0.5), (2, null, null, 1)",
    "insert into t values (3, 'Three.', null, 2)",
)


@pytest.fixture(params=["sqlite", "duckdb"])
def file(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    connect: Callable[[str], Any] = (
        sqlite3.connect if request.param == "sqlite" else pytest.importorskip("duckdb").connect
    )
    with closing(connect("notes.db")) as database:
        for statement in STATEMENTS:
            database.execute(statement)
        database.commit()
    return "notes.db"


def test_a_row_is_a_document(file: str) -> None:
    query = "select * from t order by id;"
    one, two, three = read_corpus(file, query=query)
    assert isinstance(one, Record)
    assert isinstance(two, Reject)
    assert (one.id, one.text, one.line) == ("1", "One.", 1)
    assert one.meta == {"day": "2024-01-02", "n": 0.5}
    assert (two.id, two.kind) == ("2", "null_text")
    assert two.message.startswith("notes.db:2 has null as its 'text'.")
    assert three.id == "3"
    assert count_documents(file, query=query) == 3
    assert count_documents(file, 2, query=query) == 2


def test_without_a_query_the_tables_are_named(file: str) -> None:
    message = (
        r"^notes\.db is a database: .* --query 'select id, text from …'\. Its tables are: t\.$"
    )
    with pytest.raises(QueryMissing, match=message):
        read_corpus(file)


@pytest.mark.parametrize(
    "query",
    [
        "delete from t",
        "insert into t values (4, 'x', null, null)",
        "drop table t",
        "create table u as select * from t",
        "attach 'other.db' as other",
        "pragma journal_mode = delete",
        "vacuum",
        "select text from t; delete from t",
        "delete from t returning text",
    ],
)
def test_a_query_that_writes_is_refused(file: str, query: str) -> None:
    with pytest.raises(QueryWrites, match=r"^The query to notes\.db is not a single SELECT\."):
        read_corpus(file, query=query)
    assert count_documents(file, query="select * from t") == 3


@pytest.mark.parametrize(
    "query",
    [
        "with x as (delete from t returning *) select * from x",
        "copy t to 'out.csv'",
        "install httpfs",
        "select * from sqlite_scan('notes.db', 't')",
    ],
)
def test_what_no_query_does(file: str, query: str) -> None:
    """Each database knows others of these; what it does not know it refuses as well."""
    with pytest.raises((QueryFailed, QueryWrites)):
        read_corpus(file, query=query)
    assert [path.name for path in Path().iterdir()] == ["notes.db"]


@pytest.mark.parametrize(
    "query", ["select text from nowhere", "sel from t", "select 1 as text; select 2 as text"]
)
def test_a_query_that_the_database_does_not_take(file: str, query: str) -> None:
    with pytest.raises((QueryFailed, QueryWrites), match=r"notes\.db (cannot be asked|is not a s)"):
        read_corpus(file, query=query)


def test_other_files_are_not_read(file: str) -> None:
    Path("secret.csv").write_text("text\nsecret\n", encoding="utf-8")
    with pytest.raises(QueryFailed):
        read_corpus(file, query="select * from 'secret.csv'")


def test_a_query_without_the_text(file: str) -> None:
    with pytest.raises(NoTextColumn, match=r"^notes\.db has no column 'text'; it has: id, n\."):
        read_corpus(file, query="select id, n from t")


def test_what_is_no_database(tmp_path: Path, monkeypatch, quick, cli) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.db").write_bytes(b"no database " * 1000)
    done = cli("run", "x.db", "--query", "select 1 as text", "-p", quick(), "-o", "out")
    assert done.code == 1
    assert done.err.startswith("Error: x.db cannot be asked: ")
    assert not Path("out").exists()
    Path("x.txt").write_text("One.", encoding="utf-8")
    done = cli("run", "x.txt", "--query", "select 1 as text", "-p", quick(), "-o", "out")
    assert done.err == f"Error: {QueryNeedsADatabase('x.txt')}\n"


def test_a_run_over_a_query(file: str, quick, cli) -> None:
    options = ("--query", "select id, text from t where n <> 1 order by id", "-p", quick())
    done = cli("run", file, *options, "-o", "out", "--json")
    assert (done.code, '"documents": 2, "ok": 2' in done.out) == (0, True)
    missing = cli("run", file, "-p", quick(), "-o", "other")
    assert missing.code == 1
    assert "Its tables are: t." in missing.err


def test_a_database_in_a_folder_is_passed_over(file: str) -> None:
    Path("in").mkdir()
    Path(file).rename("in/notes.db")
    Path("in/a.txt").write_text("One.", encoding="utf-8")
    warnings: list[str] = []
    (record,) = read_corpus("in", on_warning=warnings.append)
    assert record.id == "a.txt"
    assert warnings == ["Files of other formats in 'in' were passed over: notes.db."]
