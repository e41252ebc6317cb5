"""`nlp-pipeline push`: a run's tables as a data set on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

import click

from nlp_pipeline.cli.output import print_json


@click.command(short_help="Upload the tables of a run to the Hugging Face hub.")
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("name")
@click.option("--public", is_flag=True, help="A data set that is made is for all to see.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def push(out: Path, name: str, *, public: bool, as_json: bool) -> None:
    """Upload the tables of the finished run in OUT as the data set NAME (owner/name).

    The texts of the documents leave the machine by it. It needs a token, in HF_TOKEN or of
    `hf auth login`; nothing but the tables and the card (README.md) is uploaded.

    \b
    Example:
      nlp-pipeline push runs/sample-en_qa_summary ada/harbour
    """  # noqa: D301  (click knows the character itself)
    from nlp_pipeline.export.hub_upload import push_run

    address = push_run(out, name, private=not public)
    if as_json:
        print_json({"url": address})
    else:
        click.echo(address)
