"""`nlp-pipeline retry`: tries again what failed, without the corpus."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from nlp_pipeline.cli.options import pace
from nlp_pipeline.cli.output import note
from nlp_pipeline.cli.watched_run import FAILED_DOCUMENTS, as_dict, watched_run
from nlp_pipeline.errors.base import counted


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--type", "types", multiple=True, help="Only this type of error. Repeatable.")
@click.option("--id", "ids", multiple=True, help="Only this document. Repeatable.")
@pace
@click.option("--quiet", is_flag=True, help="No progress.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def retry(out: Path, *, quiet: bool, as_json: bool, debug_log: Path | None, **options: Any) -> None:
    """Try again what failed in the run in the folder OUT.

    Texts and pipeline come from OUT itself; the corpus is not needed. A record that could not
    be read stays as it is: mend it in the corpus and type the command of the run again, which
    tries again what failed as well. So does an interrupted run when it goes on.

    \b
    Example:
      nlp-pipeline retry runs/sample-en_qa_summary --type generation_failed
    """  # noqa: D301  (click knows the character itself)
    from nlp_pipeline.generation.distributed.process_group import is_main
    from nlp_pipeline.runner.run import execute, retry_request

    request, records = retry_request(out, **options)
    with watched_run(request, records, quiet=quiet, debug_log=debug_log) as (progress, config):
        result = execute(request, progress, config, records=records)
    if not is_main():
        return
    if as_json:
        click.echo(json.dumps(as_dict(result)))
    elif not quiet:
        tried = result.documents - result.resumed
        if not tried:
            _say_which_types_are_absent(out, options["types"])
        click.echo(
            f"{counted(tried, 'document')} tried again; of {result.documents} now {result.failed} "
            "failed."
        )
    if result.failed:
        sys.exit(FAILED_DOCUMENTS)


def _say_which_types_are_absent(out: Path, types: tuple[str, ...]) -> None:
    """Of the types that were asked for those that no document of the run has."""
    from nlp_pipeline.errors.run import no_errors_of_type
    from nlp_pipeline.run_folder.read import iter_rows

    run_types = {row["type"]: None for row in iter_rows(out, "errors")} if types else {}
    for kind in types:
        if kind not in run_types:
            note(no_errors_of_type(kind, run_types))
