"""A run as one DuckDB database: tables, comments on their columns, views."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlp_pipeline.errors.export import ExtraMissing, NotADatabase
from nlp_pipeline.export.job import ExportJob
from nlp_pipeline.export.views import meanings, quoted, views_of


def write_duckdb(job: ExportJob) -> list[Path]:
    """Writes tables into a DuckDB file, all of them or, where it is stopped, none.

    Other tables that the file has stay as they are.

    Raises:
        ExtraMissing: The package `duckdb` is not installed.
        NotADatabase: The file that is there is no DuckDB database.
    """
    try:
        import duckdb
    except ImportError:
        raise ExtraMissing("Exporting to DuckDB", "duckdb") from None
    try:
        database = duckdb.connect(str(job.target))
    except (duckdb.IOException, duckdb.SerializationException) as error:
        raise NotADatabase(str(job.target), "DuckDB", str(error)) from error
    with database:
        database.execute("BEGIN")
        for table in job.tables:
            _write_table(database, job, table)
        for view in views_of(job):
            database.execute(f"CREATE OR REPLACE VIEW {quoted(view.name)} AS {view.query}")
            database.execute(f"COMMENT ON VIEW {quoted(view.name)} IS {_literal(view.meaning)}")
            _comment(database, view.name, view.columns)
        database.execute("COMMIT")
    return [job.target]


def _write_table(database: Any, job: ExportJob, table: str) -> None:
    database.register("part", job.schema(table).empty_table())
    database.execute(f"CREATE OR REPLACE TABLE {quoted(table)} AS SELECT * FROM part")
    for part in job.parts(table):
        database.register("part", part)
        database.execute(f"INSERT INTO {quoted(table)} SELECT * FROM part")
    database.unregister("part")
    _comment(database, table, meanings(job, table))


def _comment(database: Any, relation: str, columns: dict[str, str]) -> None:
    for name, meaning in columns.items():
        column = f"{quoted(relation)}.{quoted(name)}"
        database.execute(f"COMMENT ON COLUMN {column} IS {_literal(meaning)}")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
