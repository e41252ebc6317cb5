"""Joins reader, pipeline, tables and run folder; decides nothing."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_pipeline.ahead import ahead
from nlp_pipeline.annotate import Annotated, annotate_batches, chain
from nlp_pipeline.corpus import count_documents, read_corpus, source_files
from nlp_pipeline.corpus.sources import STDIN
from nlp_pipeline.errors.run import InvalidTimeout, TimeoutNeedsWorkers
from nlp_pipeline.generation.leading import together
from nlp_pipeline.generation.parallel import world_size
from nlp_pipeline.manifest import describe, fingerprint
from nlp_pipeline.pipeline import PipelineSpec, build, resolve_config, shared_place, split
from nlp_pipeline.request import Progress as Progress
from nlp_pipeline.request import RunRequest as RunRequest
from nlp_pipeline.request import RunResult as RunResult
from nlp_pipeline.request import Silent as Silent
from nlp_pipeline.runs.folder import FINISHED, RunFolder, open_run, read_manifest, refuse_strangers
from nlp_pipeline.runs.spool import keep, spooled
from nlp_pipeline.tables.frames import iter_tables
from nlp_pipeline.tables.rows import Rows, doc_rows
from nlp_pipeline.tables.schemas import TABLES
from nlp_pipeline.workers import annotate_in_workers
from nlp_pipeline.zones import in_zones

if TYPE_CHECKING:
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


def execute(request: RunRequest, progress: Progress | None = None) -> RunResult:
    """Runs a request from the first record, or from where an earlier run was stopped.

    Of the processes that torchrun starts, rank 0 does it, the others compute along with its
    model, and all return the same.
    """
    if world_size() == 1:
        return _execute(request, progress)
    place = shared_place(resolve_config(request.pipeline))
    return together(*place, lambda: _execute(request, progress))


def _execute(request: RunRequest, progress: Progress | None) -> RunResult:
    started = time.perf_counter()
    check(request)
    config = resolve_config(request.pipeline)
    nlp = build(config, request.pipeline.name)
    with _standard_input(request) as stdin:
        mark = fingerprint(request, nlp, config, stdin)
        with open_run(request.out, mark, request.format, fresh=request.fresh) as folder:
            parts = _Parts(request, folder)
            before = parts.documents
            manifest = describe(request, nlp, mark)
            finished = _is_finished(request, folder)
            if not finished:
                kept = stdin and keep(stdin)
                total = count_documents(request.corpus, request.limit, stdin=kept)
                folder.write_manifest({**manifest, "total": total, "state": "running"})
                folder.write_config(config.to_str())
                progress = progress or Silent()
                progress.start(total, before)
                _write_parts(request, nlp, parts, kept, progress)
                folder.recount()
            result = _result(request, folder, before, time.perf_counter() - started)
            if not finished:
                manifest.update(total=result.documents, state=FINISHED)
                folder.write_manifest({**manifest, **_figures(result)})
    return result


def _is_finished(request: RunRequest, folder: RunFolder) -> bool:
    """Whether nothing is left to do: the manifest says so, and no part was found damaged."""
    manifest = read_manifest(request.out) or {}
    done = folder.documents_done
    return manifest.get("state") == FINISHED and manifest.get("total", done) == done


def _standard_input(request: RunRequest) -> AbstractContextManager[Path | None]:
    """A copy of standard input in the run's folder, where it is the corpus."""
    if request.corpus != STDIN:
        return nullcontext()
    return spooled(request.out, sys.stdin.buffer, fresh=request.fresh)


def _write_parts(
    request: RunRequest, nlp: Language, parts: _Parts, stdin: Path | None, progress: Progress
) -> None:
    """Sends the records that are not done yet through the pipeline and commits them."""
    done = parts.documents
    items = read_corpus(
        request.corpus,
        text_key=request.text_key,
        id_key=request.id_key,
        limit=request.limit,
        max_length=request.max_length,
        on_warning=progress.warn,
        stdin=stdin,
    )
    try:
        with closing(_rows(request, nlp, (i for i in items if i.index >= done))) as documents:
            for rows in documents:
                failed, tokens = parts.add(rows)
                progress.document(failed=failed, output_tokens=tokens)
        parts.finish()
    finally:
        parts.close()


class _Parts:
    """Puts documents into parts; those of the part that is not full yet lie in its journal."""

    def __init__(self, request: RunRequest, folder: RunFolder) -> None:
        self._folder = folder
        self._size = request.part_size
        self._begin()
        for rows in self._journal.read():
            self._take(rows)

    @property
    def documents(self) -> int:
        """Documents that are safe: in parts and in the journal."""
        return self._folder.documents_done + self._documents

    def add(self, rows: Rows) -> tuple[bool, int]:
        """Takes in a document; returns whether it failed and the tokens generated for it."""
        self._commit_if_full()  # a killed process may have left a journal as long as a part
        self._journal.append(rows)
        figures = self._take(rows)
        self._commit_if_full()
        return figures

    def finish(self) -> None:
        """Writes the last part; an empty corpus has one without rows."""
        if self._documents or not self._folder.receipts:
            self._commit()

    def close(self) -> None:
        """Lets go of the journal."""
        self._journal.close()

    def _begin(self) -> None:
        self._journal = self._folder.journal()
        self._documents = self._failed = self._output_tokens = 0
        self._rows: Rows = {name: [] for name in TABLES}

    def _take(self, rows: Mapping[str, list[dict[str, Any]]]) -> tuple[bool, int]:
        failed = rows["documents"][0]["status"] != "ok"
        tokens = sum(row["output_tokens"] or 0 for row in [*rows["answers"], *rows["summaries"]])
        for name, more in rows.items():
            self._rows[name] += more
        self._documents += 1
        self._failed += failed
        self._output_tokens += tokens
        return failed, tokens

    def _commit_if_full(self) -> None:
        if self._documents >= self._size:
            self._commit()

    def _commit(self) -> None:
        self._folder.commit(
            dict(iter_tables(self._rows)),
            documents=self._documents,
            failed=self._failed,
            output_tokens=self._output_tokens,
        )
        self._journal.discard()
        self._begin()


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


def _result(request: RunRequest, folder: RunFolder, before: int, seconds: float) -> RunResult:
    receipts = folder.receipts
    return RunResult(
        out=request.out,
        documents=sum(r.documents for r in receipts),
        failed=sum(r.failed for r in receipts),
        output_tokens=sum(r.output_tokens for r in receipts),
        seconds=seconds,
        resumed=before,
    )


def _figures(result: RunResult) -> dict[str, Any]:
    """The manifest's counts and rates."""
    new = result.documents - result.resumed
    rate = new / result.seconds if result.seconds else 0.0
    values = asdict(replace(result, out=Path()))
    del values["out"]
    return {"counts": values, "documents_per_second": round(rate, 3)}
