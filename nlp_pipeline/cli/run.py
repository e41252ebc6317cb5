"""`nlp-pipeline run`: a corpus in, tables out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlp_pipeline.cli.completion import complete_file
from nlp_pipeline.cli.log_handlers import show_notes
from nlp_pipeline.cli.options import (
    cluster,
    conversion,
    corpus_and_pipeline,
    gpu_id_option,
    pace,
)
from nlp_pipeline.cli.output import note, print_json
from nlp_pipeline.cli.setting_arguments import SettingsCommand
from nlp_pipeline.cli.watched_run import (
    FAILED_DOCUMENTS,
    as_dict,
    fetch_models,
    run_request,
    watched_run,
)
from nlp_pipeline.errors.base import counted
from nlp_pipeline.errors.config import PriceNeedsEstimate, dry_run_is_an_estimate

if TYPE_CHECKING:
    from nlp_pipeline.runner.request import RunRequest, RunResult


ESTIMATE_OPTIONS = ("estimate", "dry_run", "price_in", "price_out")
PREVIEW_ROWS = 6
FAILURES_SHOWN = 3


@click.command(cls=SettingsCommand)
@click.argument("corpus", nargs=-1, required=True, shell_complete=complete_file)
@click.option(
    "-o",
    "--out",
    "--output",
    "out",
    type=click.Path(path_type=Path),
    help="Folder for the tables.  [default: runs/CORPUS-PIPELINE]",
)
@corpus_and_pipeline
@click.option(
    "--query",
    metavar="SELECT",
    help="What is read of a CORPUS that is an SQLite or DuckDB file.",
)
@click.option(
    "--allow-private",
    is_flag=True,
    help="Let a URL lead into the own network, and be redirected to another host.",
)
@click.option(
    "--code",
    "-c",
    multiple=True,
    type=click.Path(),
    metavar="FILE",
    help="As in spaCy: a Python file that registers what the pipeline's config names. Repeatable.",
)
@click.option(
    "--lang",
    metavar="CODE",
    help="Language of a pipeline without trained components, such as blank_qa: de, zh, ar, …",
)
@click.option(
    "--max-chars",
    "--max-length",
    "max_length",
    type=click.IntRange(min=1),
    default=100_000,
    show_default=True,
    help="Longer texts (characters) become error records. --max-length is the former name.",
)
@gpu_id_option
@conversion
@pace
@cluster
@click.option(
    "--format",
    "format_",
    type=click.Choice(["parquet", "csv", "jsonl"]),
    default="parquet",
    show_default=True,
)
@click.option(
    "--fresh", "--force", "fresh", is_flag=True, help="Throw away the run that the folder holds."
)
@click.option(
    "--retry/--no-retry",
    default=True,
    show_default=True,
    help="Whether a run that goes on tries again what has failed.",
)
@click.option(
    "--estimate",
    is_flag=True,
    help="Only say what the run will take, by a sample of CORPUS: tokens, time, memory, disk. "
    "Writes nothing.",
)
@click.option("--dry-run", is_flag=True, hidden=True)
@click.option(
    "--price-in",
    type=click.FloatRange(min=0),
    metavar="PRICE",
    help="With --estimate: what a server takes for a million prompt tokens.",
)
@click.option(
    "--price-out",
    type=click.FloatRange(min=0),
    metavar="PRICE",
    help="The same for a million output tokens.",
)
@click.option("--quiet", is_flag=True, help="No progress and no preview.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def run(
    corpus: tuple[str, ...],
    out: Path | None,
    *,
    quiet: bool,
    as_json: bool,
    debug_log: Path | None,
    estimate: bool,
    dry_run: bool,
    price_in: float | None,
    price_out: float | None,
    **options: Any,
) -> None:
    """Annotate CORPUS and answer questions about it.

    CORPUS is a .jsonl, .csv, .parquet or .txt file, a PDF or the like, a sheet, a database with
    --query (docs/documents.md has all), a folder of these, a URL such as s3://bucket/notes/*.pdf,
    or - for standard input. Several are read one after the other.
    The same command again goes on where an interrupted run stopped. It computes what is new or
    has changed in CORPUS, tries again what failed, and keeps the rest.

    \b
    Example:
      nlp-pipeline run corpora/sample.jsonl -q "Who is named?" -o runs/names
    """  # noqa: D301  (click knows the character itself)
    request = run_request(corpus[0], out, further_sources=corpus[1:], **options)
    if dry_run:
        note(dry_run_is_an_estimate())
    if estimate or dry_run:
        _estimate(request, price_in, price_out, quiet=quiet, as_json=as_json)
        return
    if price_in is not None or price_out is not None:
        raise PriceNeedsEstimate
    from nlp_pipeline.generation.distributed.process_group import is_main
    from nlp_pipeline.runner.run import execute

    with watched_run(request, quiet=quiet, debug_log=debug_log) as (progress, config):
        result = execute(request, progress, config, command=sys.argv[1:])
    if not is_main():
        return
    if as_json:
        click.echo(json.dumps(as_dict(result)))
    elif not quiet:
        _show(result)
    if result.failed:
        sys.exit(FAILED_DOCUMENTS)


def _estimate(
    request: RunRequest,
    price_in: float | None,
    price_out: float | None,
    *,
    quiet: bool,
    as_json: bool,
) -> None:
    """Says what a run will take."""
    from nlp_pipeline.cli.estimate_text import show_estimate
    from nlp_pipeline.generation.distributed.process_group import is_main
    from nlp_pipeline.pipeline import resolve_config
    from nlp_pipeline.runner.run_estimate import estimate_request, token_prices

    show_notes(quiet=quiet or not is_main())
    config = resolve_config(request.pipeline)
    if is_main():
        fetch_models(config, quiet=quiet)
    estimate = estimate_request(request, config, prices=token_prices(price_in, price_out))
    if not is_main():
        return
    if as_json:
        print_json(estimate.as_dict())
    else:
        show_estimate(estimate, request.corpus)


def _show(result: RunResult) -> None:
    """Where the tables lie and the first rows of what was generated."""
    from nlp_pipeline.cli.preview import show_failures, show_preview

    ok = result.documents - result.failed
    click.echo(
        f"{counted(result.documents, 'document')} ({ok} ok, {result.failed} failed) in "
        f"{result.seconds:.1f} s. The tables lie in {result.out}/"
    )
    show_preview(result.out, PREVIEW_ROWS)
    if result.failed:
        show_failures(result.out, FAILURES_SHOWN)
