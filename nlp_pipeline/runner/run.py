"""Joins reader, pipeline, tables and run folder; decides nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_pipeline.corpus import count_documents, read_corpus, source_files
from nlp_pipeline.corpus.sources import STDIN
from nlp_pipeline.generation.backends.inprocess import LlamaGenerator
from nlp_pipeline.generation.distributed.process_group import world_size
from nlp_pipeline.generation.distributed.rank0 import together
from nlp_pipeline.pipeline import PipelineSpec, build, resolve_config, shared_place
from nlp_pipeline.run_folder.folder import FINISHED, open_run, read_manifest, refuse_strangers
from nlp_pipeline.run_folder.ledger import Entry, entry_of, failed_ones, none
from nlp_pipeline.run_folder.parts import Assembler, Item, Load
from nlp_pipeline.run_folder.resume import Comparison, compare
from nlp_pipeline.run_folder.stdin import keep, spooled
from nlp_pipeline.run_folder.writer import RunFolder
from nlp_pipeline.runner.manifest import (
    NAMED_BY_STEM,
    beginning,
    describe,
    figures,
    fingerprint,
    input_digests,
    named_by_stem,
)
from nlp_pipeline.runner.request import Progress as Progress
from nlp_pipeline.runner.request import RunRequest as RunRequest
from nlp_pipeline.runner.request import RunResult as RunResult
from nlp_pipeline.runner.request import Silent as Silent
from nlp_pipeline.runner.stream import check_limits, result_of, write_parts

if TYPE_CHECKING:
    from confection import Config


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
        InvalidMaxErrors: `max_errors` is no limit.
        TimeoutNeedsWorkers: There is a time limit and no process that could be ended.
    """
    check_limits(request)
    source_files(request.corpus)
    refuse_strangers(request.out)


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
    config = config or resolve_config(request.pipeline)
    if world_size() == 1:
        return _execute(request, progress or Silent(), config)
    place = shared_place(config)
    return together(
        *place,
        lambda: _execute(request, progress or Silent(), config),
        generator=LlamaGenerator,
    )


def _execute(request: RunRequest, progress: Progress, config: Config) -> RunResult:
    started = time.perf_counter()
    check(request)
    nlp = build(config, request.pipeline.name)
    again = failed_ones if request.retry else none
    with _standard_input(request) as stdin:
        mark = fingerprint(request, nlp, config)
        with open_run(request.out, mark, request.format, fresh=request.fresh) as folder:
            stems = named_by_stem(read_manifest(request.out))
            entries = (entry for entry, _ in _records(request, stdin, stems, lambda _: None))
            found = compare(request.out, entries, request.part_size, again)
            if found.nothing_to_do and _is_finished(request, folder):
                return result_of(folder, found.kept, time.perf_counter() - started)
            kept = stdin and keep(stdin)
            manifest = {
                **describe(request, nlp, mark),
                "inputs": input_digests(request.corpus, kept),
                NAMED_BY_STEM: stems,
            }
            total = count_documents(request.corpus, request.limit, stdin=kept)
            now = {"total": total, **beginning(found), "state": "running"}
            folder.write_manifest({**manifest, **now})
            folder.write_config(config.to_str())
            _tell(progress, found)
            progress.start(total, found.kept)
            parts = Assembler(folder, request.part_size, again)
            records = _records(request, kept, stems, progress.warn)
            write_parts(request, nlp, parts, records, progress)
            result = result_of(folder, found.kept, time.perf_counter() - started)
            end = {"total": result.documents, "state": FINISHED}
            folder.write_manifest({**manifest, **end, **figures(result)})
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


def _records(
    request: RunRequest,
    stdin: Path | None,
    stems: Collection[str],
    on_warning: Callable[[str], None],
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
        named_by_stem=stems,
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
