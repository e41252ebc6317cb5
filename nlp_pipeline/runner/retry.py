"""`retry`: tries again what failed in a run, without its corpus."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.run import CorpusNeeded
from nlp_pipeline.pipeline import PipelineSpec, build, resolve_config
from nlp_pipeline.run_folder.failed_records import chosen, ledger_entries, records_again
from nlp_pipeline.run_folder.folder import FINISHED, open_run
from nlp_pipeline.run_folder.parts import Assembler
from nlp_pipeline.run_folder.read import run_manifest
from nlp_pipeline.run_folder.resume import compare
from nlp_pipeline.run_folder.writer import CONFIG
from nlp_pipeline.runner.manifest import beginning, figures, fingerprint
from nlp_pipeline.runner.request import Progress, RunRequest, RunResult, Silent
from nlp_pipeline.runner.stream import check_limits, result_of, write_parts


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
    check_limits(request)
    config = resolve_config(request.pipeline)
    nlp = build(config, request.pipeline.name)
    again = chosen(tuple(types), tuple(ids))
    mark = fingerprint(request, nlp, config)
    with open_run(path, mark, request.format) as folder:
        size, corpus = request.part_size, request.corpus
        finished = before.get("state") == FINISHED
        if finished and folder.documents_done != before.get("total"):
            raise CorpusNeeded(str(path), corpus)  # a part was found damaged
        found = compare(path, ledger_entries(folder, corpus), size, again)
        if not found.failed:
            return result_of(folder, found.kept, time.perf_counter() - started)
        began = datetime.now(timezone.utc).isoformat(timespec="seconds")
        folder.write_manifest({**before, "started": began, **beginning(found), "state": "running"})
        progress = progress or Silent()
        progress.start(folder.documents_done, found.kept)
        parts = Assembler(folder, size, again)
        write_parts(request, nlp, parts, records_again(folder, size, corpus), progress)
        result = result_of(folder, found.kept, time.perf_counter() - started)
        if finished:
            folder.write_manifest({**before, "started": began, **figures(result)})
        return result


def _request_of(out: Path, manifest: Mapping[str, Any], options: dict[str, Any]) -> RunRequest:
    """A run as its manifest tells it."""
    mark = manifest["fingerprint"]
    names = ("text_key", "id_key", "max_length", "format", "part_size")
    return RunRequest(
        manifest["corpus"],
        out,
        PipelineSpec(str(out / CONFIG)),
        **{name: mark[name] for name in names},
        **options,
    )
