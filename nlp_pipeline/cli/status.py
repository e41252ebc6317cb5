"""`nlp-pipeline status`: how a run stands, also while it is going on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from nlp_pipeline.cli.interrupts import again
from nlp_pipeline.cli.output import print_json

_RUNS = ("run", "retry", "evaluate")
"""The commands that a run can be begun with."""


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(out: Path, *, as_json: bool) -> None:
    """Say how the run in the folder OUT stands.

    \b
    Example:
      nlp-pipeline status runs/sample-en_qa_summary
    """  # noqa: D301  (click knows the character itself)
    from nlp_pipeline.run_folder.status import run_status

    found = run_status(out)
    if as_json:
        print_json(asdict(found))
        return
    of = "" if found.total is None else f" of {found.total}"
    click.echo(f"{found.state}: {found.done}{of} documents, {found.ok} ok, {found.failed} failed")
    if found.left:
        click.echo(f"{found.left} left")
    rates = (found.documents_per_second, "documents"), (found.tokens_per_second, "tokens")
    if known := [f"{rate:.2f} {what}/s" for rate, what in rates if rate is not None]:
        click.echo(", ".join(known))
    if found.state == "interrupted":
        click.echo(f"To go on, type:\n  {_command(out)}")


def _command(out: Path) -> str:
    """The command that began the run; in Python there was none."""
    from nlp_pipeline.run_folder.read import run_manifest

    command = run_manifest(out).get("command") or [""]
    return (
        again(command)
        if command[0] in ("run", "retry", "evaluate")
        else "the same call of `run` again"
    )
