"""The executor `local`: the parts of a run are computed in this process."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nlp_pipeline.pipeline import build
from nlp_pipeline.run_folder.parts import in_parts
from nlp_pipeline.run_folder.writer import RunFolder
from nlp_pipeline.runner.computation import DocumentFigures, compute_parts
from nlp_pipeline.runner.corpus_sample import ReadCorpus
from nlp_pipeline.runner.estimate import BRIEF_SECONDS, RunEstimate, estimate_documents
from nlp_pipeline.runner.executors.executor_base import Report
from nlp_pipeline.runner.manifest import fingerprint
from nlp_pipeline.runner.records import RecordSource
from nlp_pipeline.runner.request import RunRequest

if TYPE_CHECKING:
    from confection import Config
    from spacy.language import Language


class LocalExecutor:
    """Computes in this process. See `PartExecutor`."""

    @contextmanager
    def start(self, request: RunRequest, config: Config) -> Iterator[_LocalRun]:
        """Builds the pipeline."""
        yield _LocalRun(request, config, build(config, request.pipeline.name))


class _LocalRun:
    def __init__(self, request: RunRequest, config: Config, nlp: Language) -> None:
        self._request = request
        self._config = config
        self._nlp = nlp

    @property
    def pipes(self) -> list[str]:
        return list(self._nlp.pipe_names)

    def estimate(self, read: ReadCorpus) -> RunEstimate:
        return estimate_documents(self._request, self._nlp, read, seconds=BRIEF_SECONDS)

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        return fingerprint(self._request, self._nlp, self._config)

    def compute(
        self, folder: RunFolder, records: RecordSource, report: Report
    ) -> Generator[DocumentFigures, None, None]:
        units = in_parts(records.records(folder), self._request.part_size)
        return compute_parts(
            self._request, self._nlp, units, store=folder, retry_when=records.retry_when
        )
