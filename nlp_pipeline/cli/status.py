"""`nlp-pipeline status`: how a run stands, also while it is going on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from nlp_pipeline.cli.interrupts import command_line
from nlp_pipeline.cli.output import print_json
from nlp_pipeline.errors.base import counted, noun_form
from nlp_pipeline.errors.escapes import escaped

_RUNS = ("run", "retry", "evaluate")
"""The commands that a run can be begun with."""


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(out: Path, *, as_json: bool) -> None:
    """Say how the run, or the training, in the folder OUT stands.

    \b
    Example:
      nlp-pipeline status runs/sample-en_qa_summary
    """  # noqa: D301  (click knows the character itself)
    from nlp_pipeline.run_folder.status import run_status

    if _show_training(out, as_json=as_json):
        return
    state = run_status(out)
    if as_json:
        print_json(asdict(state))
        return
    of = "" if state.total is None else f" of {state.total}"
    documents = noun_form(state.done if state.total is None else state.total, "document")
    click.echo(f"{state.state}: {state.done}{of} {documents}, {state.ok} ok, {state.failed} failed")
    if state.left:
        click.echo(f"{state.left} left")
    rates = (state.documents_per_second, "documents"), (state.tokens_per_second, "tokens")
    if rates_text := [f"{rate:.2f} {unit}/s" for rate, unit in rates if rate is not None]:
        click.echo(", ".join(rates_text))
    for node, rate in state.nodes.items():
        click.echo(f"{escaped(node, 100)}: {rate:.2f} documents/s")
    if state.state == "interrupted":
        click.echo(f"To go on, type:\n  {_command(out)}")


def _show_training(out: Path, *, as_json: bool) -> bool:
    """Shows how a training stands, where the folder holds one."""
    if not (out / "training").is_dir():
        return False
    from nlp_pipeline.training.training_status import training_status

    state = training_status(out)
    if state is None:
        return False
    if as_json:
        print_json(asdict(state))
        return True
    click.echo(
        f"{state.state}: {state.n_done} of {counted(state.steps, 'step')}, {state.saved} safe"
    )
    if state.loss is not None and state.tokens_per_second is not None:
        rest = "" if state.state != "running" else f", {state.seconds_left:.0f} s left"
        click.echo(f"loss {state.loss:.3f}, {state.tokens_per_second:.0f} tokens/s{rest}")
    if state.state == "interrupted":
        call = command_line(state.command) if state.command else "the same call of `train` again"
        click.echo(f"To go on, type:\n  {call}")
    return True


def _command(out: Path) -> str:
    """The command that began the run; in Python there was none."""
    from nlp_pipeline.run_folder.read import run_manifest

    command = run_manifest(out).get("command") or [""]
    return (
        command_line(command)
        if command[0] in ("run", "retry", "evaluate")
        else "the same call of `run` again"
    )
