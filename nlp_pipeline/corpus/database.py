"""SQLite and DuckDB files: the rows of a query, which may read and do nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nlp_pipeline.corpus.column_names import unique_names
from nlp_pipeline.corpus.corpus_file import CorpusFile
from nlp_pipeline.corpus.memory_records import memory_fields
from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.read_options import NumberedFields, ReadOptions
from nlp_pipeline.errors.corpus import NoTextColumn
from nlp_pipeline.errors.database import QueryFailed, QueryMissing, QueryWrites
from nlp_pipeline.errors.documents import ReaderNotInstalled
from nlp_pipeline.errors.records import Place

_BATCH_ROWS = 1024
_SQLITE_MAGIC = b"SQLite format 3\x00"
_READING = frozenset(
    [sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE]
)

_REFUSALS = ("not authorized", "authorization denied", "one statement at a time")
"""What SQLite says of what the authorizer forbids, and of several statements."""


def read_database(file: CorpusFile, options: ReadOptions, notes: Notes) -> Iterator[NumberedFields]:
    """The columns of every row of the query, by name; "line" is the number of the row.

    Without ORDER BY a database gives its rows in any order, and a run that goes on finds others
    where they were.

    Raises:
        QueryMissing: There is no query; the message names the tables.
        QueryWrites: It does something else than to read.
        QueryFailed: The database refuses it, or is none.
        NoTextColumn: Its rows have not the text column.
        ReaderNotInstalled: The package `duckdb` is not there.
    """
    with closing(_Database(file)) as database:
        columns, rows = database.rows(_query_of(file, options.query, database))
        if options.text_key not in columns and options.text_key.split(".")[0] not in columns:
            raise NoTextColumn(file.source, options.text_key, columns)
        names = unique_names(columns)
        for column, name in zip(columns, names, strict=True):
            if column and column != name:
                notes.once("repeated_column", Place(file.source, 1), column)
        records = (dict(zip(names, row, strict=True)) for row in rows)
        yield from memory_fields(records, options, notes, source=file.source)


def count_database(file: CorpusFile, query: str | None) -> Iterator[int]:
    """How many rows the query has."""
    with closing(_Database(file)) as database:
        counting = f"SELECT count(*) FROM ({_query_of(file, query, database)})"
        _, rows = database.rows(counting)
        yield from (int(n) for (n,) in rows)


def check_query(file: CorpusFile, query: str | None) -> None:
    """Finds out whether a query can be run, without running it to its end.

    Raises:
        CorpusError: As `read_database` does.
    """
    with closing(_Database(file)) as database:
        database.rows(_query_of(file, query, database))


def _query_of(file: CorpusFile, query: str | None, database: _Database) -> str:
    if query is None or not query.strip():
        raise QueryMissing(file.source, database.tables())
    return query.strip().rstrip(";")


class _Database:
    """A file, opened to be read.

    Args:
        file: SQLite's or DuckDB's; its first bytes say which.
    """

    def __init__(self, file: CorpusFile) -> None:
        path = file.local_path()
        self._source = file.source
        self._is_sqlite = _is_sqlite(path)
        self._connection: Any = (
            _open_sqlite(path) if self._is_sqlite else _open_duckdb(path, file.source)
        )

    def tables(self) -> list[str]:
        """The names of its tables and views."""
        query = (
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
            if self._is_sqlite
            else "SELECT table_name FROM information_schema.tables"
        )
        return sorted(str(name) for (name,) in self.rows(query)[1])

    def rows(self, query: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
        """The names of the columns, and the rows as they are asked for."""
        try:
            if not self._is_sqlite:
                _refuse_writing(self._connection, query, self._source)
            cursor = self._connection.execute(query)
        except QueryWrites:
            raise
        except Exception as error:  # of both libraries
            if any(sign in str(error) for sign in _REFUSALS):
                raise QueryWrites(self._source) from None
            raise QueryFailed(self._source, str(error)) from error
        if cursor.description is None:
            raise QueryWrites(self._source)
        return [str(column[0]) for column in cursor.description], self._fetched(cursor)

    def _fetched(self, cursor: Any) -> Iterator[tuple[Any, ...]]:
        while rows := cursor.fetchmany(_BATCH_ROWS):
            yield from rows

    def close(self) -> None:
        """Lets go of the file."""
        self._connection.close()


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC


def _open_sqlite(path: Path) -> sqlite3.Connection:
    # The reader is a thread of its own, and nobody else has the connection.
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
    connection.set_authorizer(
        lambda action, *_: sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY
    )
    return connection


def _open_duckdb(path: Path, source: str) -> Any:
    if find_spec("duckdb") is None:
        raise ReaderNotInstalled(source, "duckdb")
    import duckdb

    try:
        # Nothing but this file: a query that reads other files, or fetches any, is refused.
        settings: Any = {"enable_external_access": "false", "autoinstall_known_extensions": "false"}
        return duckdb.connect(str(path), read_only=True, config=settings)
    except duckdb.Error as error:
        raise QueryFailed(source, str(error)) from error


def _refuse_writing(connection: Any, query: str, source: str) -> None:
    import duckdb

    kinds = [statement.type for statement in connection.extract_statements(query)]
    if kinds != [duckdb.StatementType.SELECT]:
        raise QueryWrites(source)
