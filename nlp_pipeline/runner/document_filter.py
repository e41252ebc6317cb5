"""Which documents of a run an expression fits: a condition of SQL over the table `documents`.

The expression may come from anywhere: it sees this one table, no file, no network, no setting.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from nlp_pipeline.errors.ask import NoDocumentMatches, WhereNeedsDuckdb, WhereNotReadable
from nlp_pipeline.run_folder.read import iter_parts
from nlp_pipeline.tables.schemas import TABLES

_CLOSED: dict[str, Any] = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}


def matching_documents(run: Path, expression: str) -> list[str]:
    """The ids of the documents that an expression fits, in the order of the corpus.

    Args:
        run: The run's folder.
        expression: A condition over the columns of `documents`.

    Raises:
        WhereNeedsDuckdb: The package `duckdb` is not installed.
        WhereNotReadable: It is no condition, or wants what it may not have.
        NoDocumentMatches: No document fits it.
    """
    try:
        import duckdb
    except ImportError as error:
        raise WhereNeedsDuckdb from error
    documents = pa.concat_tables([TABLES["documents"].empty_table(), *iter_parts(run, "documents")])
    # On a line of its own: a comment at its end does not take the parenthesis with it.
    query = f"SELECT document_id FROM documents WHERE (\n{expression}\n)"
    with duckdb.connect(":memory:", config=_CLOSED) as database:
        # Without this a name that is no table would be looked for among Python's variables.
        database.execute("SET python_enable_replacements = false")
        database.register("documents", documents)
        database.execute("SET lock_configuration = true")
        try:
            statements = database.extract_statements(query)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise WhereNotReadable(expression, "it is no condition", documents.column_names)
            matches = {name for (name,) in database.execute(query).fetchall()}
        except duckdb.Error as error:
            reason = str(error).split("\n", 1)[0].rstrip(".!")
            raise WhereNotReadable(expression, reason, documents.column_names) from error
    ids = [name for name in documents["document_id"].to_pylist() if name in matches]
    if not ids:
        raise NoDocumentMatches(expression, documents.num_rows)
    return ids
