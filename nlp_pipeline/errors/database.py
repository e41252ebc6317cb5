"""Errors of corpora that are a query to a database."""

from __future__ import annotations

from collections.abc import Iterable

from nlp_pipeline.errors.base import listing
from nlp_pipeline.errors.corpus import CorpusError
from nlp_pipeline.errors.escapes import escaped


class QueryMissing(CorpusError):
    """A database without a query."""

    def __init__(self, source: str, tables: Iterable[str]) -> None:
        names = listing(escaped(table, 40) for table in tables)
        super().__init__(
            f"{escaped(source, 300)} is a database: say what to read of it, as in --query "
            f"'select id, text from …'. Its tables are: {names}."
        )


class QueryWrites(CorpusError):
    """A query that is more than one SELECT."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"The query to {escaped(source, 300)} is not a single SELECT. A corpus is read: give "
            "one that writes nothing."
        )


class QueryFailed(CorpusError):
    """A query that the database does not take."""

    def __init__(self, source: str, reason: str) -> None:
        first = escaped(reason.strip().split("\n")[0], 200).rstrip(".")
        super().__init__(
            f"{escaped(source, 300)} cannot be asked: {first}. Check the query and that the file "
            "is an SQLite or DuckDB database."
        )


class QueryNeedsADatabase(CorpusError):
    """A query to what is no database."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"--query asks a database, and {escaped(source, 300)} is none. Leave it out, or give "
            "an SQLite or DuckDB file (.sqlite, .db, .duckdb)."
        )
