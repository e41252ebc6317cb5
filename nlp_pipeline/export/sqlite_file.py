"""A run as one SQLite database: tables, the meanings of their columns, views."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa

from nlp_pipeline.errors.export import NotADatabase
from nlp_pipeline.export.job import ExportJob
from nlp_pipeline.export.views import NAMES, meanings, quoted, views_of
from nlp_pipeline.run_folder.files import lists_as_json

_TYPES = {pa.int64(): "INTEGER", pa.bool_(): "INTEGER", pa.float64(): "REAL"}


def write_sqlite(job: ExportJob) -> list[Path]:
    """Writes tables into an SQLite file, all of them or, where it is stopped, none.

    Lists are JSON texts, truth values 0 and 1; the meaning of each column stands as a comment in
    the statement that made its table (`.schema`). Other tables that the file has stay as they are.

    Raises:
        NotADatabase: The file that is there is no SQLite database, or is in use.
    """
    try:
        with closing(sqlite3.connect(job.target, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            for view in NAMES:
                database.execute(f"DROP VIEW IF EXISTS {quoted(view)}")
            for table in job.tables:
                _write_table(database, job, table)
            for made in views_of(job):
                database.execute(f"CREATE VIEW {quoted(made.name)} AS {made.query}")
            database.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        raise NotADatabase(str(job.target), "SQLite", str(error)) from error
    return [job.target]


def _write_table(database: sqlite3.Connection, job: ExportJob, table: str) -> None:
    schema = job.schema(table)
    meaning = meanings(job, table)
    columns = ",\n".join(
        f"  {quoted(f.name)} {_TYPES.get(f.type, 'TEXT')} /* {_comment(meaning[f.name])} */"
        for f in schema
    )
    database.execute(f"DROP TABLE IF EXISTS {quoted(table)}")
    database.execute(f"CREATE TABLE {quoted(table)} (\n{columns}\n)")
    marks = ", ".join("?" * len(schema))
    for part in job.parts(table):
        rows = zip(*(column.to_pylist() for column in lists_as_json(part).columns), strict=True)
        database.executemany(f"INSERT INTO {quoted(table)} VALUES ({marks})", rows)
    # The names of indexes and of views are of one kind in SQLite.
    index = quoted(f"{table}_document_id")
    database.execute(f"CREATE INDEX {index} ON {quoted(table)} (document_id)")


def _comment(meaning: str) -> str:
    return meaning.replace("*/", "* /")
