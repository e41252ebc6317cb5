"""What every command shares that starts a run: its request, its models, and what is seen of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_pipeline.cli.interrupts import resumable
from nlp_pipeline.cli.log_handlers import show_notes
from nlp_pipeline.cli.progress import BarProgress, PlainProgress
from nlp_pipeline.corpus.documents.conversion_settings import ConversionSettings
from nlp_pipeline.errors.config import TwoDevices
from nlp_pipeline.generation.settings import OVERRIDES

if TYPE_CHECKING:
    from confection import Config

    from nlp_pipeline.runner.records import RecordSource
    from nlp_pipeline.runner.request import Progress, RunRequest, RunResult

FAILED_DOCUMENTS = 3
"""The exit code of a run that finished with documents that failed."""


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
    echo: bool,
    lang: str | None,
    code: tuple[str, ...] = (),
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

    conversion = ConversionSettings(
        **{field.name: options.pop(field.name) for field in fields(ConversionSettings)}
    )
    overrides = {name: options.pop(name) for name in OVERRIDES}
    overrides["device"] = device_of(options.pop("gpu_id", None), overrides["device"])
    spec = PipelineSpec(pipeline, questions, settings, echo=echo, lang=lang, code=code, **overrides)
    folder = out or _default_out(corpus, pipeline)
    cluster_options = ClusterOptions(
        address=address,
        actors=actors,
        gpus_per_actor=gpus_per_actor,
        cpus_per_actor=cpus_per_actor,
        unit_timeout=UNIT_TIMEOUT_S if unit_timeout is None else unit_timeout,
    )
    return RunRequest(
        corpus,
        folder,
        spec,
        format=format_,
        cluster=cluster_options,
        conversion=conversion,
        **options,
    )


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
    """The run folder where none is named, such as `runs/sample-en_qa_summary`."""
    from nlp_pipeline.corpus.remote_sources import is_url, url_stem

    if is_url(corpus):
        stem = url_stem(corpus)
    else:
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


def show_progress(*, quiet: bool) -> AbstractContextManager[Any]:
    """A bar on a terminal, else plain lines; nothing where `quiet`."""
    if quiet:
        return nullcontext()
    return BarProgress() if sys.stderr.isatty() else PlainProgress()


def as_dict(result: RunResult) -> dict[str, Any]:
    """The values of a result that `--json` prints."""
    return {
        "out": str(result.out),
        "documents": result.documents,
        "ok": result.documents - result.failed,
        "failed": result.failed,
        "output_tokens": result.output_tokens,
        "seconds": round(result.seconds, 3),
        "resumed": result.resumed,
    }
