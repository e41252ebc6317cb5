"""Joins reader, pipeline, tables and run folder; decides nothing."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nlp_pipeline.annotate import Annotated, annotate, chain
from nlp_pipeline.corpus import count_documents, read_corpus
from nlp_pipeline.manifest import describe, fingerprint
from nlp_pipeline.pipeline import PipelineSpec, build, resolve_config, split
from nlp_pipeline.runs.folder import Receipt, RunFolder, open_run, read_manifest
from nlp_pipeline.tables.frames import iter_tables
from nlp_pipeline.tables.rows import Rows, doc_rows
from nlp_pipeline.tables.schemas import TABLES
from nlp_pipeline.workers import annotate_in_workers

if TYPE_CHECKING:
    from spacy.language import Language

    from nlp_pipeline.runs.files import Format

PART_SIZE = 256
"""Documents in a part: what an interrupted run has to do again at most."""


class Progress(Protocol):
    """Is told how a run goes. The command line draws a bar; tests and callers need none."""

    def start(self, total: int | None, done: int) -> None:
        """The run begins: documents in all (None if unknown), and those done before."""
        ...

    def document(self, *, failed: bool, output_tokens: int) -> None:
        """One more document is done."""
        ...

    def warn(self, message: str) -> None:
        """The reader noticed something that is no error."""
        ...


class Silent:
    """Tells nobody."""

    def start(self, total: int | None, done: int) -> None:
        """Does nothing."""

    def document(self, *, failed: bool, output_tokens: int) -> None:
        """Does nothing."""

    def warn(self, message: str) -> None:
        """Does nothing."""


@dataclass(frozen=True)
class RunRequest:
    """What to run over which corpus and where the tables go.

    Attributes:
        corpus: A file, a folder, or `-` for standard input.
        out: The run's folder.
        pipeline: The pipeline and its overrides.
        text_key: The field or column that holds the text.
        id_key: The one that holds the id.
        limit: Only so many records, from the first.
        max_length: Longer texts become error records; in code points.
        n_process: Worker processes for the linguistic pipes; the Llama stays in this one.
        batch_size: Documents handed to spaCy at a time; the pipeline's own by default.
        format: Of the tables on disk.
        part_size: Documents in a part.
        fresh: Throw away the run that the folder holds.
    """

    corpus: str
    out: Path
    pipeline: PipelineSpec = field(default_factory=lambda: PipelineSpec("en_qa_summary"))
    text_key: str = "text"
    id_key: str = "id"
    limit: int | None = None
    max_length: int = 100_000
    n_process: int = 1
    batch_size: int | None = None
    format: Format = "parquet"
    part_size: int = PART_SIZE
    fresh: bool = False


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        out: The run's folder.
        documents: Records in the corpus, rejects counted.
        failed: How many of them have the status `error`.
        output_tokens: Tokens generated.
        seconds: Of this process; a resumed run's earlier processes are not counted.
        resumed: Documents that an earlier process had done.
    """

    out: Path
    documents: int
    failed: int
    output_tokens: int
    seconds: float
    resumed: int


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


def execute(request: RunRequest, progress: Progress | None = None) -> RunResult:
    """Runs a request from the first record, or from where an earlier run was stopped."""
    started = time.perf_counter()
    progress = progress or Silent()
    config = resolve_config(request.pipeline)
    text = config.to_str()
    nlp = build(config, request.pipeline.name)
    mark = fingerprint(request, nlp, text)
    with open_run(request.out, mark, request.format, fresh=request.fresh) as folder:
        before = folder.documents_done
        manifest = describe(request, nlp, mark)
        if (read_manifest(request.out) or {}).get("state") != "finished":
            folder.write_config(text)
            folder.write_manifest({**manifest, "state": "running"})
            _write_parts(request, nlp, folder, progress)
        result = _result(request, folder, before, time.perf_counter() - started)
        folder.write_manifest({**manifest, "state": "finished", **_figures(result)})
    return result


def _write_parts(request: RunRequest, nlp: Language, folder: RunFolder, progress: Progress) -> None:
    """Sends the records that are not done yet through the pipeline and commits them."""
    done = folder.documents_done
    progress.start(count_documents(request.corpus, request.limit), done)
    items = read_corpus(
        request.corpus,
        text_key=request.text_key,
        id_key=request.id_key,
        limit=request.limit,
        max_length=request.max_length,
        on_warning=progress.warn,
    )
    todo = (item for item in items if item.index >= done)
    buffer, count, failed, tokens = _empty(), 0, 0, 0
    for rows in _rows(request, nlp, todo):
        bad = rows["documents"][0]["status"] != "ok"
        made = _output_tokens(rows)
        progress.document(failed=bad, output_tokens=made)
        for name, more in rows.items():
            buffer[name] += more
        count, failed, tokens = count + 1, failed + bad, tokens + made
        if count == request.part_size:
            folder.commit(
                dict(iter_tables(buffer)), documents=count, failed=failed, output_tokens=tokens
            )
            buffer, count, failed, tokens = _empty(), 0, 0, 0
    if count or not folder.receipts:
        folder.commit(
            dict(iter_tables(buffer)), documents=count, failed=failed, output_tokens=tokens
        )


def _rows(request: RunRequest, nlp: Language, items: Any) -> Iterator[Rows]:
    """The rows of each record, in order."""
    first, second = split(nlp)
    batch_size = request.batch_size or nlp.batch_size
    if request.n_process > 1:
        annotated: Iterator[Annotated] = annotate_in_workers(
            nlp,
            items,
            spec=request.pipeline,
            pipes=first,
            batch_size=batch_size,
            n_process=request.n_process,
        )
    else:
        annotated = annotate(nlp, items, pipes=first, batch_size=batch_size)
    origins: deque[Any] = deque()

    def docs() -> Iterator[Any]:
        for item in annotated:
            origins.append(item.origin)
            yield item.doc

    for doc in chain(nlp, second, docs()):
        yield doc_rows(doc, origins.popleft())


def _empty() -> Rows:
    return {name: [] for name in TABLES}


def _output_tokens(rows: Rows) -> int:
    made = [*rows["answers"], *rows["summaries"]]
    return sum(row["output_tokens"] or 0 for row in made)


def _result(request: RunRequest, folder: RunFolder, before: int, seconds: float) -> RunResult:
    receipts: list[Receipt] = folder.receipts
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
