"""`run` and `retry`: one way from what is asked for to a finished folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from nlp_pipeline.corpus.documents.conversion_settings import ConversionSettings
from nlp_pipeline.corpus.memory_records import is_in_memory
from nlp_pipeline.corpus.sources import MEMORY
from nlp_pipeline.generation.backends.inprocess import LlamaGenerator
from nlp_pipeline.generation.distributed.rank0 import needs_rank0, run_on_rank0
from nlp_pipeline.keywords import known_keywords
from nlp_pipeline.pipeline import PipelineSpec, language_note, resolve_config, shared_place
from nlp_pipeline.run_folder.error_limit import ErrorLimit
from nlp_pipeline.run_folder.files import Format
from nlp_pipeline.run_folder.folder import FINISHED, open_run
from nlp_pipeline.run_folder.read import run_manifest
from nlp_pipeline.run_folder.resume import ResumePlan, plan_resume
from nlp_pipeline.run_folder.writer import CONFIG, RunFolder
from nlp_pipeline.runner.estimate import ESTIMATED_ABOVE
from nlp_pipeline.runner.executors.executor_base import PartComputer, PartExecutor
from nlp_pipeline.runner.executors.local import LocalExecutor
from nlp_pipeline.runner.executors.ray import RayExecutor
from nlp_pipeline.runner.manifest import beginning, describe, figures, kept_pipeline, rates
from nlp_pipeline.runner.records import (
    CorpusRecords,
    FailedRecords,
    RecordSource,
    records_of,
)
from nlp_pipeline.runner.request import (
    PART_SIZE,
    ClusterOptions,
    Progress,
    RunRequest,
    RunResult,
    Silent,
)
from nlp_pipeline.runner.setting_changes import changes_message
from nlp_pipeline.telemetry import observed

if TYPE_CHECKING:
    from confection import Config

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

_EXECUTORS: dict[str, Callable[[], PartExecutor]] = {"local": LocalExecutor, "ray": RayExecutor}


@known_keywords
def run(
    corpus: Any,
    out: str | Path,
    *,
    pipeline: str = "en_qa_summary",
    questions: Iterable[str] = (),
    settings: Iterable[str] = (),
    model: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    tensor_parallel_size: int | None = None,
    device_map: str | None = None,
    quantization: str | None = None,
    adapter: str | None = None,
    lang: str | None = None,
    code: Iterable[str | Path] = (),
    echo: bool = False,
    text_key: str = "text",
    id_key: str = "id",
    query: str | None = None,
    further_sources: Iterable[str] = (),
    allow_private: bool = False,
    conversion: ConversionSettings | None = None,
    limit: int | None = None,
    max_length: int = 100_000,
    n_process: int | None = None,
    document_timeout: float | None = None,
    batch_size: int | None = None,
    format: Format = "parquet",
    part_size: int = PART_SIZE,
    fresh: bool = False,
    retry: bool = True,
    on_error: Literal["continue", "stop"] = "continue",
    max_errors: str | None = None,
    otel: bool = False,
    mlflow: str | None = None,
    executor: Literal["local", "ray"] = "local",
    address: str | None = None,
    actors: int | None = None,
    gpus_per_actor: int | None = None,
    cpus_per_actor: int | None = None,
    unit_timeout: float | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Annotates a corpus and writes its tables: `nlp-pipeline run` for Python.

    The same call again goes on where an interrupted run stopped, computes what is new or has
    changed in the corpus, tries again what failed, and keeps the rest.

    Args:
        corpus: A file, a folder, a pattern, the URL of one of these (`s3://…`, `https://…`), or
            `-` for standard input; or what the program has at hand: a pandas, polars or Arrow
            table, a `datasets.Dataset`, an iterable of records, of texts or of pairs of a text and
            its context. Such records are kept in the run's folder.
        out: The run's folder.
        pipeline: A shipped pipeline's name, the path of a `.cfg` or of a saved pipeline's folder,
            or an installed spaCy pipeline package.
        questions: Asked of every document instead of the pipeline's own.
        settings: `key=value` overrides, as in `components.llama_qa.max_new_tokens=16`.
        model: Replaces the model of every Llama component: a known model, a Hugging Face folder
            or hub name, a `.gguf` file or a Meta folder.
        device: Replaces the device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        dtype: Replaces the number format: `auto` or a dtype's name.
        tensor_parallel_size: Processes that share a model; all that torchrun started by default.
        device_map: `auto` spreads a model over all GPUs of one process.
        quantization: `int8`, `int4` or `int8_dynamic`; lossy.
        adapter: Folder of a LoRA adapter that was trained on the model, or the name of one.
        lang: The language's code, such as `de`, of a pipeline without trained components.
        code: Python files that register what the pipeline's config names: components, functions.
        echo: Replaces every generator by the echo, which needs no model.
        text_key: The field or column that holds the text; `a.b` is the field b of the object a.
        id_key: The one that holds the id.
        query: What is read of a corpus that is an SQLite or DuckDB file: one SELECT.
        further_sources: Files, folders, patterns and URLs that are read after the corpus. The ids
            of their records begin with the source as it is named here.
        allow_private: Whether a URL may lead into the own network, or be redirected elsewhere.
        conversion: How PDFs and the like become text, and what a file may cost: time, memory.
        limit: Only so many records, from the first.
        max_length: Longer texts become error records; in code points.
        n_process: Worker processes for the linguistic pipes; 1 runs them in a thread of this one,
            where the Llama always stays. None takes several where the Llama is on a GPU, else 1.
        document_timeout: Seconds that a worker process may take for a document; needs
            `n_process` above 1.
        batch_size: Documents handed to spaCy at a time; the pipeline's own by default.
        format: Of the tables on disk: `parquet`, `csv` or `jsonl`.
        part_size: Documents in a part: what an interrupted run has to do again at most.
        fresh: Throws away the run that the folder holds.
        retry: Whether documents that failed when an earlier process had them are tried again.
        on_error: `stop` ends the run at the first document that fails.
        max_errors: Ends the run when more documents have failed, `"10"`, or a larger share of
            them, `"5%"`; both are counted from the start of this process.
        otel: Whether OpenTelemetry is told of the run: a span and metrics, by the providers of
            this program, or else by OTLP to where OpenTelemetry's environment variables say.
        mlflow: Where MLflow keeps the run too: a folder, a database or a server.
        executor: Who computes: `local`, this process, or `ray`, the actors of a Ray cluster.
        address: Of the Ray cluster, `host:port` or `auto`; by default `RAY_ADDRESS` or else a
            Ray that is started on this machine.
        actors: How many of them, each with a pipeline and a model of its own; by default one a
            GPU, else one a machine.
        gpus_per_actor: Share a model by tensor parallelism; by default 1 where there are GPUs.
        cpus_per_actor: By default an equal share of a machine's, one left free.
        unit_timeout: Seconds after which an actor that has finished no document is ended, and
            its part tried again in halves.
        progress: Is told how the run goes.

    Returns:
        How the run ended.

    Raises:
        UnknownKeyword: There is no argument of that name; the message says which is near.
        TooManyErrors: More documents failed than `on_error` or `max_errors` allow; what is done is
            safe.
        NlpPipelineError: The run cannot begin or go on; documents that fail raise nothing.
    """
    spec = PipelineSpec(
        pipeline,
        questions=questions,
        settings=settings,
        model=model,
        device=device,
        echo=echo,
        dtype=dtype,
        tensor_parallel_size=tensor_parallel_size,
        device_map=device_map,
        quantization=quantization,
        adapter=adapter,
        lang=lang,
        code=tuple(map(str, code)),
    )
    request = RunRequest(
        corpus=MEMORY if is_in_memory(corpus) else str(corpus),
        out=Path(out),
        pipeline=spec,
        text_key=text_key,
        id_key=id_key,
        query=query,
        further_sources=tuple(further_sources),
        allow_private=allow_private,
        conversion=conversion or ConversionSettings(),
        limit=limit,
        max_length=max_length,
        n_process=n_process,
        document_timeout=document_timeout,
        batch_size=batch_size,
        format=format,
        part_size=part_size,
        fresh=fresh,
        retry=retry,
        on_error=on_error,
        max_errors=max_errors,
        otel=otel,
        mlflow=mlflow,
        executor=executor,
        cluster=ClusterOptions(
            address=address,
            actors=actors,
            gpus_per_actor=gpus_per_actor,
            cpus_per_actor=cpus_per_actor,
            **({} if unit_timeout is None else {"unit_timeout": unit_timeout}),
        ),
    )
    progress = progress or Silent()
    return execute(request, progress, records=records_of(corpus, request, progress))


@known_keywords
def retry(
    out: str | Path,
    *,
    types: Iterable[str] = (),
    ids: Iterable[str] = (),
    n_process: int | None = None,
    document_timeout: float | None = None,
    batch_size: int | None = None,
    on_error: Literal["continue", "stop"] = "continue",
    max_errors: str | None = None,
    otel: bool = False,
    mlflow: str | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Tries again what failed in the finished parts of a run, without its corpus.

    The pipeline is the one that the run has kept. Records that could not be read stay as they
    are: only the corpus can mend them. A run that was interrupted stays so: the command of the
    run goes on with it.

    Args:
        out: The run's folder.
        types: Only documents with an error of one of these types.
        ids: Only these documents.
        n_process: Worker processes for the linguistic pipes, as in `run`.
        document_timeout: Seconds that a worker process may take for a document.
        batch_size: Documents handed to spaCy at a time; the pipeline's own by default.
        on_error: `stop` ends the work at the first document that fails.
        max_errors: Ends it when more documents have failed, as in `run`.
        otel: As in `run`.
        mlflow: As in `run`.
        progress: Is told how it goes.

    Returns:
        How the whole run stands now; `resumed` counts the documents that were left as they are.

    Raises:
        UnknownKeyword: There is no argument of that name; the message says which is near.
        RunNotFound: The folder holds no run.
        DifferentRun: Something that can change a row has changed since, such as a version.
        CorpusNeeded: A record cannot be read back from the tables.
        NlpPipelineError: As in `run`.
    """
    request, records = retry_request(
        out,
        types=types,
        ids=ids,
        n_process=n_process,
        document_timeout=document_timeout,
        batch_size=batch_size,
        on_error=on_error,
        max_errors=max_errors,
        otel=otel,
        mlflow=mlflow,
    )
    return execute(request, progress, records=records)


def retry_request(
    out: str | Path, *, types: Iterable[str] = (), ids: Iterable[str] = (), **pace: Any
) -> tuple[RunRequest, FailedRecords]:
    """What `retry` asks for, as `execute` takes it: the run that was, and the records that failed.

    Args:
        out: The run's folder.
        types: Only documents with an error of one of these types.
        ids: Only these documents.
        pace: The other arguments of `retry`: fields of `RunRequest`.

    Raises:
        RunNotFound: The folder holds no run.
    """
    path = Path(out)
    manifest = run_manifest(path)
    options = {**reading_options(manifest), **pace}
    request = RunRequest(
        manifest["corpus"], path, kept_pipeline(manifest, path / CONFIG), **options
    )
    return request, FailedRecords(request, manifest, types=tuple(types), ids=tuple(ids))


def execute(
    request: RunRequest,
    progress: Progress | None = None,
    config: Config | None = None,
    *,
    records: RecordSource | None = None,
    command: Iterable[str] | None = None,
) -> RunResult:
    """Runs a request from the first record, or from where an earlier run was stopped.

    Of the processes that torchrun starts, rank 0 does it, the others compute along with its
    model, and all return the same.

    Args:
        request: What to run.
        progress: Is told how it goes.
        config: The pipeline's resolved config, where the caller has it already.
        records: Where the records come from; the corpus of the request by default.
        command: The words of the command line that asked for this, where one did: the manifest
            keeps them, so that a message can say what to type.

    Raises:
        TooManyErrors: More documents failed than the request allows; what is done is safe.
        NlpPipelineError: As in `run`.
    """
    config = config or resolve_config(request.pipeline)
    if needs_rank0():
        again = partial(execute, request, progress, config, records=records, command=command)
        return on_rank0(config, again)
    started = time.perf_counter()
    progress = progress or Silent()
    records = records or records_of(request.corpus, request, progress)
    request.check_limits()
    records.check()
    limit = ErrorLimit(request.max_errors, stop=request.on_error == "stop")
    executor = _EXECUTORS[request.executor]()
    observation = observed(otel=request.otel, mlflow=request.mlflow)
    with observation as observer, executor.start(request, config) as engine, records.open():
        mark = engine.fingerprint
        may_change = records.may_change
        with open_run(
            request.out, mark, request.format, fresh=request.fresh, may_change=may_change
        ) as folder:
            entries = records.entries(folder)
            plan = plan_resume(
                request.out,
                entries,
                request.part_size,
                retry_when=records.retry_when,
                settings=folder.settings,
                further_questions=folder.further_questions,
                file_changes=records.file_changes,
            )
            if records.is_complete(folder, plan):
                return _result(folder, plan.kept, started)
            _tell_changes(progress, folder, plan, records, mark)
            _tell_language(config)
            manifest = records.begin(plan, describe(request, engine.pipes, mark, command))
            books, total = _Books(folder, manifest), records.total(folder)
            books.open(config, total, plan)
            observer.begin(manifest)
            _expect(progress, engine, records, left=(total or 0) - plan.kept)
            progress.start(total, plan.kept)
            show = getattr(progress, "answers", _ignore)
            with closing(engine.compute(folder, records, books.report)) as documents:
                for document in documents:
                    failed = document.failed
                    show(document.answers)
                    progress.document(failed=failed, output_tokens=document.output_tokens)
                    observer.document(failed=failed, output_tokens=document.output_tokens)
                    limit.count(failed=failed)
            folder.close_books()
            result = _result(folder, plan.kept, started)
            books.close(result)
            observer.end(rates(result))
            return result


def _ignore(rows: object) -> None:
    """Nobody wants to see answers as they come."""


def _tell_changes(
    progress: Progress,
    folder: RunFolder,
    plan: ResumePlan,
    records: RecordSource,
    mark: Mapping[str, Any],
) -> None:
    """Says beforehand what other settings than those of before cost."""
    if plan.outdated and records.may_change:
        progress.warn(changes_message(folder.changes, plan.outdated, mark))


def _tell_language(config: Config) -> None:
    """Says what of the texts' language cannot be looked up in them."""
    if note := language_note(config):
        logger.info(note)


def _expect(progress: Progress, engine: PartComputer, records: RecordSource, left: int) -> None:
    """Tells who wants to know it what a long run will take, before its first document.

    Args:
        progress: Wants to know it where it has a method `expect`.
        engine: Tries some documents.
        records: A corpus; a `retry` says nothing.
        left: Documents that are not done.
    """
    expect = getattr(progress, "expect", None)
    if expect is None or left <= ESTIMATED_ABOVE or not isinstance(records, CorpusRecords):
        return
    estimate = engine.estimate(records.silently)
    if estimate is not None:
        expect(estimate, left)


def on_rank0(config: Config, work: Callable[[], _Result]) -> _Result:
    """Does the work on rank 0 of the processes that torchrun started, which all return the same.

    Args:
        config: Of the pipeline that the work uses: says which processes share its model.
        work: Called on rank 0 only.

    Raises:
        LeaderStopped: On the other ranks, where the work raised an exception on rank 0.
    """
    size, device = shared_place(config)
    return run_on_rank0(size, device, work, generator=LlamaGenerator)


def check(request: RunRequest, records: RecordSource | None = None) -> None:
    """Finds out, before anything is loaded, whether records, folder and limits can be used.

    Args:
        request: What is to run.
        records: Where the records come from; the corpus of the request by default.

    Raises:
        CorpusError: The corpus cannot be read.
        OutputError: The folder holds something else than a run.
        InvalidMaxErrors: `max_errors` is no limit.
        InvalidTimeout: `document_timeout` is no time.
        TimeoutNeedsWorkers: There is a time limit and no process that could be ended.
    """
    request.check_limits()
    (records or records_of(request.corpus, request, Silent())).check()


class _Books:
    """The manifest of a run, from its first document to its end.

    Args:
        folder: The run.
        manifest: What it says of the run from beginning to end.
    """

    def __init__(self, folder: RunFolder, manifest: Mapping[str, Any]) -> None:
        self._folder = folder
        self._manifest = dict(manifest)
        self._running: dict[str, Any] = {}

    def open(self, config: Config, total: int | None, plan: ResumePlan) -> None:
        """Writes what runs, and that it does, before the first document."""
        self._running = {"total": total, **self._manifest, **beginning(plan), "state": "running"}
        self._folder.write_manifest(self._running)
        self._folder.write_config(config.to_str())

    def report(self, facts: Mapping[str, Any]) -> None:
        """Writes who computes the run, and how fast."""
        self._manifest.update(facts)
        self._folder.write_manifest({**self._running, **facts})

    def close(self, result: RunResult) -> None:
        """Writes that the run is finished, unless it was a retry that leaves others unfinished."""
        if self._manifest.get("state", FINISHED) == FINISHED:
            end = {"total": result.documents, "state": FINISHED, **figures(result)}
            self._folder.write_manifest({**self._manifest, **end})


def _result(folder: RunFolder, n_kept: int, started: float) -> RunResult:
    """How a run stands after a process that left `n_kept` documents as they were."""
    totals = folder.receipts.totals
    return RunResult(
        out=folder.path,
        documents=totals.documents,
        failed=totals.failed,
        output_tokens=totals.output_tokens,
        seconds=time.perf_counter() - started,
        resumed=n_kept,
    )


def reading_options(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """How a run reads its corpus and writes its parts, as its manifest tells it."""
    names = ("text_key", "id_key", "max_length", "format", "part_size")
    return {name: manifest["fingerprint"][name] for name in names}
