"""`nlp-pipeline run`: a corpus in, tables out."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlp_pipeline.cli.completion import complete_file
from nlp_pipeline.cli.interrupts import resumable
from nlp_pipeline.cli.options import cluster, corpus_and_pipeline, pace
from nlp_pipeline.cli.progress import BarProgress, PlainProgress
from nlp_pipeline.cli.setting_arguments import SettingsCommand
from nlp_pipeline.errors.config import TwoDevices
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.run import DebugLogNotWritable
from nlp_pipeline.generation.settings import OVERRIDES

if TYPE_CHECKING:
    from confection import Config

    from nlp_pipeline.runner.records import RecordSource
    from nlp_pipeline.runner.request import Progress, RunRequest, RunResult

FAILED_DOCUMENTS = 3
PREVIEW_ROWS = 6
FAILURES_SHOWN = 3


@click.command(cls=SettingsCommand)
@click.argument("corpus", shell_complete=complete_file)
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
@click.option(
    "--gpu-id",
    type=click.IntRange(min=-1),
    help="As in spaCy: --device cuda:N, or cpu for -1.",
)
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
@click.option("--quiet", is_flag=True, help="No progress and no preview.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
def run(
    corpus: str,
    out: Path | None,
    *,
    quiet: bool,
    as_json: bool,
    debug_log: Path | None,
    **options: Any,
) -> None:
    """Annotate CORPUS and answer questions about it.

    CORPUS is a .jsonl, .csv, .parquet or .txt file, a PDF or the like, a sheet, a database with
    --query (docs/documents.md has all), a folder of these, or - for standard input.
    The same command again goes on where an interrupted run stopped. It computes what is new or
    has changed in CORPUS, tries again what failed, and keeps the rest.

    \b
    Example:
      nlp-pipeline run corpora/sample.jsonl -q "Who is named?" -o runs/names
    """  # noqa: D301  (click knows the character itself)
    request = run_request(corpus, out, **options)
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


@contextmanager
def watched_run(
    request: RunRequest,
    records: RecordSource | None = None,
    *,
    quiet: bool,
    debug_log: Path | None,
) -> Iterator[tuple[Progress | None, Config | None]]:
    """What the terminal shows of a run; of several processes that torchrun started, one speaks.

    Args:
        request: Is checked, and its models are fetched, before the block begins.
        records: Where the records come from; the corpus of the request by default.
        quiet: Shows nothing.
        debug_log: A file that gets every note.

    Yields:
        Who is told how the run goes, and the pipeline's config where it is known already.
    """
    from nlp_pipeline.generation.distributed.process_group import is_main
    from nlp_pipeline.pipeline import resolve_config
    from nlp_pipeline.runner.run import check

    main = is_main()
    quiet = quiet or not main
    show_notes(quiet=quiet, debug_log=debug_log)
    config = None
    if main:
        check(request, records)  # before a model is fetched for nothing
        config = resolve_config(request.pipeline)
        fetch_models(config, quiet=quiet)
    with resumable(request.out) if main else nullcontext(), show_progress(quiet=quiet) as progress:
        yield progress, config


def run_request(
    corpus: str,
    out: Path | None,
    *,
    pipeline: str,
    questions: tuple[str, ...],
    settings: tuple[str, ...],
    dry_run: bool,
    lang: str | None,
    format_: Any,
    address: str | None = None,
    actors: int | None = None,
    gpus_per_actor: int | None = None,
    cpus_per_actor: int | None = None,
    unit_timeout: float | None = None,
    **options: Any,
) -> RunRequest:
    """The options as what the runner takes."""
    from nlp_pipeline.pipeline import PipelineSpec
    from nlp_pipeline.runner.request import UNIT_TIMEOUT_S, ClusterOptions, RunRequest

    overrides = {name: options.pop(name) for name in OVERRIDES}
    overrides["device"] = device_of(options.pop("gpu_id", None), overrides["device"])
    spec = PipelineSpec(pipeline, questions, settings, dry_run=dry_run, lang=lang, **overrides)
    folder = out or _default_out(corpus, pipeline)
    cluster_options = ClusterOptions(
        address=address,
        actors=actors,
        gpus_per_actor=gpus_per_actor,
        cpus_per_actor=cpus_per_actor,
        unit_timeout=UNIT_TIMEOUT_S if unit_timeout is None else unit_timeout,
    )
    return RunRequest(corpus, folder, spec, format=format_, cluster=cluster_options, **options)


def device_of(gpu_id: int | None, device: str | None) -> str | None:
    """The device that spaCy's `--gpu-id` names: -1 is the CPU.

    Raises:
        TwoDevices: `--device` names one as well.
    """
    if gpu_id is None:
        return device
    if device is not None:
        raise TwoDevices(gpu_id, device)
    return "cpu" if gpu_id < 0 else f"cuda:{gpu_id}"


def _default_out(corpus: str, pipeline: str) -> Path:
    """`runs/sample-en_qa_summary`."""
    stem = "stdin" if corpus == "-" else Path(corpus).resolve().name.split(".")[0]
    return Path("runs") / f"{stem}-{Path(pipeline).stem}"


def fetch_models(config: Config, *, quiet: bool) -> None:
    """Fetches known models that a resolved config names and the cache lacks, with progress."""
    from nlp_pipeline.cli.progress_download import fetch_with_progress
    from nlp_pipeline.models import KNOWN_MODELS, verify
    from nlp_pipeline.pipeline import model_names

    for name in model_names(config):
        if name in KNOWN_MODELS and verify(name) == "missing":
            fetch_with_progress(name, quiet=quiet)


class _Notes(logging.Handler):
    """Prints to what is stderr at the time, which is above the bar while there is one."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(escaped(record.getMessage(), limit=1000), err=True)


class _DebugLog(logging.Handler):
    """Adds each record to a file, with nothing in it that a terminal would obey.

    Raises:
        DebugLogNotWritable: The file cannot be written to.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        self._path = path
        self._append("")

    def emit(self, record: logging.LogRecord) -> None:
        lines = self.format(record).split("\n")
        self._append("".join(escaped(line, 2000) + "\n" for line in lines))

    def _append(self, text: str) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise DebugLogNotWritable(str(self._path), error.strerror or str(error)) from error


def show_notes(*, quiet: bool = False, debug_log: Path | None = None) -> None:
    """What the library has to say (its logger `nlp_pipeline`) goes to stderr, or nowhere.

    Args:
        quiet: Nowhere.
        debug_log: A file that gets all of it, with the traceback of every failure.

    Raises:
        DebugLogNotWritable: The file cannot be written to.
    """
    logger = logging.getLogger("nlp_pipeline")
    logger.handlers[:] = [logging.NullHandler() if quiet else _Notes()]
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if debug_log is not None:
        logger.addHandler(_DebugLog(debug_log))
        logger.setLevel(logging.DEBUG)


def show_progress(*, quiet: bool) -> AbstractContextManager[Any]:
    """A bar on a terminal, else plain lines; nothing where `quiet`."""
    if quiet:
        return nullcontext()
    return BarProgress() if sys.stderr.isatty() else PlainProgress()


def as_dict(result: RunResult) -> dict[str, Any]:
    """A result for `--json`."""
    return {
        "out": str(result.out),
        "documents": result.documents,
        "ok": result.documents - result.failed,
        "failed": result.failed,
        "output_tokens": result.output_tokens,
        "seconds": round(result.seconds, 3),
        "resumed": result.resumed,
    }


def _show(result: RunResult) -> None:
    """Where the tables lie and the first rows of what was generated."""
    from nlp_pipeline.cli.preview import show_failures, show_preview

    ok = result.documents - result.failed
    click.echo(
        f"{result.documents} documents ({ok} ok, {result.failed} failed) in "
        f"{result.seconds:.1f} s. The tables lie in {result.out}/"
    )
    show_preview(result.out, PREVIEW_ROWS)
    if result.failed:
        show_failures(result.out, FAILURES_SHOWN)
