"""`nlp-pipeline status`: how a run stands, also while it is going on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from nlp_pipeline.cli.output import print_json


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(out: Path, *, as_json: bool) -> None:
    """Say how the run in the folder OUT stands.

    \b
    Example:
      nlp-pipeline status runs/sample-en_qa_summary
    """  # noqa: D301  (click knows the character itself)
    from nlp_pipeline.runs.status import run_status

    found = run_status(out)
    if as_json:
        print_json(asdict(found))
        return
    of = "" if found.total is None else f" of {found.total}"
    click.echo(f"{found.state}: {found.done}{of} documents, {found.ok} ok, {found.failed} failed")
    if found.left and found.state == "interrupted":
        click.echo(f"{found.left} left: type the command of the run again to go on.")
    if found.seconds and found.done:
        rates = found.done / found.seconds, found.output_tokens / found.seconds
        click.echo(f"{rates[0]:.2f} documents/s, {rates[1]:.0f} tokens/s")
