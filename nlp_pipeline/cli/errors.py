"""`nlp-pipeline errors`: what failed in a run, grouped by kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nlp_pipeline.cli.output import print_json

IDS_SHOWN = 10


@click.command(short_help="List what failed in a run, by type.")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--type", "kind", help="Only this type of error, with every document.")
@click.option("--json", "as_json", is_flag=True, help="Print the errors as JSON.")
def errors(out: Path, *, kind: str | None, as_json: bool) -> None:
    """List what failed in the run in the folder OUT, by type, with document ids.

    \b
    Example:
      nlp-pipeline errors runs/sample-en_qa_summary --type missing_text
    """  # noqa: D301  (click knows the character itself)
    from nlp_pipeline.errors.run import no_errors_of_type
    from nlp_pipeline.run_folder.read import iter_rows

    every_row = list(iter_rows(out, "errors"))
    rows = [row for row in every_row if kind is None or row["type"] == kind]
    if as_json:
        print_json(rows)
    elif not rows:
        types = {row["type"]: None for row in every_row}
        click.echo("No errors." if kind is None else no_errors_of_type(kind, types))
    elif kind is not None:
        for row in rows:
            _say(f"{row['document_id']}: {row['message']}")
    else:
        _summary(rows)


def _summary(rows: list[dict[str, Any]]) -> None:
    """One paragraph a type: how often, one message, the ids."""
    by_type: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_type.setdefault(row["type"], []).append(row)
    for kind, errors_of_kind in sorted(by_type.items(), key=lambda item: (-len(item[1]), item[0])):
        ids = list(dict.fromkeys(row["document_id"] for row in errors_of_kind))
        more = f" and {len(ids) - IDS_SHOWN} more" if len(ids) > IDS_SHOWN else ""
        hint = ", trying again can help" if any(row["retryable"] for row in errors_of_kind) else ""
        _say(f"{len(errors_of_kind)} × {kind} (stage {errors_of_kind[0]['stage']}{hint})")
        _say(f"    {errors_of_kind[0]['message']}")
        _say(f"    documents: {', '.join(ids[:IDS_SHOWN])}{more}")


def _say(line: str) -> None:
    from nlp_pipeline.errors.escapes import escaped

    click.echo(escaped(line, limit=2_000))
