"""Joins reader, pipeline, tables and run folder; decides nothing."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_pipeline.ahead import ahead
from nlp_pipeline.annotate import Annotated, annotate_batches, chain
from nlp_pipeline.corpus import count_documents, read_corpus, source_files
from nlp_pipeline.corpus.sources import STDIN
from nlp_pipeline.errors.run import InvalidTimeout, TimeoutNeedsWorkers
from nlp_pipeline.generation.leading import together
from nlp_pipeline.generation.parallel import world_size
from nlp_pipeline.manifest import describe, fingerprint, input_digests
from nlp_pipeline.pipeline import PipelineSpec, build, resolve_config, shared_place, split
from nlp_pipeline.request import Progress as Progress
from nlp_pipeline.request import RunRequest as RunRequest
from nlp_pipeline.request import RunResult as RunResult
from nlp_pipeline.request import Silent as Silent
from nlp_pipeline.runs.assembling import Assembler, Item, Load
from nlp_pipeline.runs.comparing import Comparison, compare
from nlp_pipeline.runs.earlier import failed_ones, none
from nlp_pipeline.runs.error_limit import ErrorLimit
from nlp_pipeline.runs.folder import (
    CONFIG,
    FINISHED,
    RunFolder,
    open_run,
    read_manifest,
    refuse_strangers,
)
from nlp_pipeline.runs.ledger import Entry, entry_of
from nlp_pipeline.runs.reading import run_manifest
from nlp_pipeline.runs.retrying import chosen, ledger_entries, records_again
from nlp_pipeline.runs.spool import keep, spooled
from nlp_pipeline.tables.rows import Rows, doc_rows
from nlp_pipeline.workers import annotate_in_workers
from nlp_pipeline.zones import in_zones

if TYPE_CHECKING:
    from confection import Config
    from spacy.language import Language


def run(
    corpus: str | Path,
    out: str | Path,
    *,
    pipeline: str = "en_qa_summary",
    questions: Iterable[str] = (),
    **options: Any,
) -> RunResult:
    """Annotates a corpus and writes its tables: `nlp-pipeline run` for Python.

    Args:
        corpus: As in `RunRequest`, like `out` and all that `options` may hold.
        out: The run's folder.
        pipeline: A shipped pipeline's name or a path.
        questions: Asked instead of the pipeline's own.
        options: Other fields of `RunRequest` and `PipelineSpec`.

    Raises:
        NlpPipelineError: The run cannot begin or go on; documents that fail raise nothing.
    """
    names = PipelineSpec.__dataclass_fields__
    mine = {key: options.pop(key) for key in list(options) if key in names}
    spec = PipelineSpec(pipeline, questions=tuple(questions), **mine)
    return execute(RunRequest(str(corpus), Path(out), spec, **options))


def check(request: RunRequest) -> None:
    """Finds out, before anything is loaded, whether corpus and folder can be used.

    Raises:
        CorpusError: The corpus cannot be read.
        OutputError: The folder holds something else than a run.
        TimeoutNeedsWorkers: There is a time limit and no process that could be ended.
    """
    _check_timeout(request)
    source_files(request.corpus)
    refuse_strangers(request.out)


def _check_timeout(request: RunRequest) -> None:
    seconds = request.document_timeout
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise InvalidTimeout(seconds)
    if request.n_process < 2:
        raise TimeoutNeedsWorkers(seconds)


def execute(
    request: RunRequest, progress: Progress | None = None, config: Config | None = None
) -> RunResult:
    """Runs a request from the first record, or from where an earlier run was stopped.

    Of the processes that torchrun starts, rank 0 does it, the others compute along with its
    model, and all return the same.

    Args:
        request: What to run.
        progress: Is told how it goes.
        config: The pipeline's resolved config, where the caller has it already.

    Raises:
        TooManyErrors: More documents failed than the request allows; what is done is safe.
        NlpPipelineError: As in `run`.
    """
    if world_size() == 1:
        return _execute(request, progress, config)
    place = shared_place(config or resolve_config(request.pipeline))
    return together(*place, lambda: _execute(request, progress, config))


def _execute(request: RunRequest, progress: Progress | None, config: Config | None) -> RunResult:
    started = time.perf_counter()
    check(request)
    ErrorLimit(request.max_errors)  # a limit that means nothing is known at once
    config = config or resolve_config(request.pipeline)
    nlp = build(config, request.pipeline.name)
    again = failed_ones if request.retry else none
    with _standard_input(request) as stdin:
        mark = fingerprint(request, nlp, config)
        with open_run(request.out, mark, request.format, fresh=request.fresh) as folder:
            progress = progress or Silent()
            entries = (entry for entry, _ in _records(request, stdin, lambda _: None))
            found = compare(request.out, entries, request.part_size, again)
            finished = (read_manifest(request.out) or {}).get("state") == FINISHED
            if not finished or not found.nothing_to_do:
                kept = stdin and keep(stdin)
                manifest = describe(request, nlp, mark)
                manifest["inputs"] = input_digests(request.corpus, kept)
                total = count_documents(request.corpus, request.limit, stdin=kept)
                folder.write_manifest(
                    {**manifest, "total": total, **_beginning(found), "state": "running"}
                )
                folder.write_config(config.to_str())
                _tell(progress, found)
                progress.start(total, found.kept)
                records = _records(request, kept, progress.warn)
                _write_parts(
                    request, nlp, Assembler(folder, request.part_size, again), records, progress
                )
                folder.recount()
                result = _result(folder, found.kept, time.perf_counter() - started)
                manifest.update(total=result.documents, state=FINISHED)
                folder.write_manifest({**manifest, **_figures(result)})
                return result
            folder.bring_errors_up_to_date()
            return _result(folder, found.kept, time.perf_counter() - started)


def retry(
    out: str | Path,
    *,
    types: Iterable[str] = (),
    ids: Iterable[str] = (),
    progress: Progress | None = None,
    **options: Any,
) -> RunResult:
    """Tries again what failed in the finished parts of a run, without its corpus.

    The pipeline is the one that the run has kept. Records that could not be read stay as they
    are: only the corpus can mend them. A run that was interrupted stays so: the command of the
    run goes on with it.

    Args:
        out: The run's folder.
        types: Only documents with an error of one of these types.
        ids: Only these documents.
        progress: Is told how it goes.
        options: `n_process`, `batch_size`, `document_timeout`, `on_error` and `max_errors` of
            `RunRequest`.

    Returns:
        How the whole run stands now; `resumed` counts the documents that were left as they are.

    Raises:
        RunNotFound: The folder holds no run.
        DifferentRun: Something that can change a row has changed since, such as a version.
        CorpusNeeded: A record cannot be read back from the tables.
        NlpPipelineError: As in `run`.
    """
    started = time.perf_counter()
    path = Path(out)
    before = run_manifest(path)
    request = _request_of(path, before, options)
    _check_timeout(request)
    ErrorLimit(request.max_errors)
    config = resolve_config(request.pipeline)
    nlp = build(config, request.pipeline.name)
    again = chosen(tuple(types), tuple(ids))
    mark = fingerprint(request, nlp, config)
    with open_run(path, mark, request.format) as folder:
        size, corpus = request.part_size, request.corpus
        found = compare(path, ledger_entries(folder, corpus), size, again)
        if not found.failed:
            return _result(folder, found.kept, time.perf_counter() - started)
        finished = before.get("state") == FINISHED
        began = datetime.now(timezone.utc).isoformat(timespec="seconds")
        folder.write_manifest({**before, "started": began, **_beginning(found), "state": "running"})
        progress = progress or Silent()
        progress.start(folder.documents_done, found.kept)
        parts = Assembler(folder, size, again)
        _write_parts(request, nlp, parts, records_again(folder, size, corpus), progress)
        folder.recount()
        result = _result(folder, found.kept, time.perf_counter() - started)
        if finished:
            folder.write_manifest({**before, "started": began, **_figures(result)})
        return result


def _request_of(out: Path, manifest: Mapping[str, Any], options: dict[str, Any]) -> RunRequest:
    """A run as its manifest tells it."""
    mark = manifest["fingerprint"]
    names = ("text_key", "id_key", "limit", "max_length", "format", "part_size")
    return RunRequest(
        manifest["corpus"],
        out,
        PipelineSpec(str(out / CONFIG)),
        **{name: mark[name] for name in names},
        **options,
    )


def _standard_input(request: RunRequest) -> AbstractContextManager[Path | None]:
    """A copy of standard input in the run's folder, where it is the corpus."""
    if request.corpus != STDIN:
        return nullcontext()
    return spooled(request.out, sys.stdin.buffer, fresh=request.fresh)


def _records(
    request: RunRequest, stdin: Path | None, on_warning: Callable[[str], None]
) -> Iterator[tuple[Entry, Load]]:
    """The records of the corpus as the ledger knows them, and themselves."""
    items = read_corpus(
        request.corpus,
        text_key=request.text_key,
        id_key=request.id_key,
        limit=request.limit,
        max_length=request.max_length,
        on_warning=on_warning,
        stdin=stdin,
    )
    return ((entry_of(item), partial(_itself, item)) for item in items)


def _itself(item: Item) -> Item:
    return item


def _tell(progress: Progress, found: Comparison) -> None:
    """Says what of an earlier process's work does not stay."""
    if found.changed:
        progress.warn(f"{found.changed} records have changed and are computed again.")
    if found.failed:
        progress.warn(f"{found.failed} documents failed before and are tried again.")


def _write_parts(
    request: RunRequest,
    nlp: Language,
    parts: Assembler,
    records: Iterable[tuple[Entry, Load]],
    progress: Progress,
) -> None:
    """Sends the records that are not done yet through the pipeline and commits them."""
    limit = ErrorLimit(request.max_errors, stop=request.on_error == "stop")
    try:
        with closing(_rows(request, nlp, parts.wanted(records))) as documents:
            for rows in documents:
                failed, tokens = parts.add(rows)
                progress.document(failed=failed, output_tokens=tokens)
                limit.count(failed=failed)
        parts.finish()
    finally:
        parts.close()


def _rows(request: RunRequest, nlp: Language, items: Any) -> Generator[Rows, None, None]:
    """The rows of each record, in order."""
    first, second = split(nlp)
    batch_size = request.batch_size or nlp.batch_size
    if request.n_process > 1:
        batches: Generator[list[Annotated], None, None] = annotate_in_workers(
            nlp,
            items,
            spec=request.pipeline,
            pipes=first,
            batch_size=batch_size,
            n_process=request.n_process,
            document_timeout=request.document_timeout,
        )
    else:
        batches = annotate_batches(nlp, items, pipes=first, batch_size=batch_size)

    def rows(annotated: Generator[Annotated, None, None]) -> Iterator[Rows]:
        origins: deque[Any] = deque()

        def docs(stream: Iterator[Annotated]) -> Iterator[Any]:
            for item in stream:
                origins.append(item.origin)
                yield item.doc

        # The thread works inside the zone: it ends with what the zone takes in.
        with closing(ahead(annotated, batch_size)) as stream:
            for doc in chain(nlp, second, docs(stream)):
                yield doc_rows(doc, origins.popleft())

    with closing(batches):
        yield from in_zones(nlp, batches, rows)


def _result(folder: RunFolder, kept: int, seconds: float) -> RunResult:
    receipts = folder.receipts
    return RunResult(
        out=folder.path,
        documents=sum(r.documents for r in receipts),
        failed=sum(r.failed for r in receipts),
        output_tokens=sum(r.output_tokens for r in receipts),
        seconds=seconds,
        resumed=kept,
    )


def _beginning(found: Comparison) -> dict[str, int]:
    """What the manifest of a run that is going on says of earlier processes' work."""
    return {"kept": found.kept, "again": found.failed + found.changed}


def _figures(result: RunResult) -> dict[str, Any]:
    """The manifest's counts and rates."""
    new = result.documents - result.resumed
    rate = new / result.seconds if result.seconds else 0.0
    values = asdict(replace(result, out=Path()))
    del values["out"]
    return {"counts": values, "documents_per_second": round(rate, 3)}
