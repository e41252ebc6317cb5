"""What a run needs of whoever computes its parts."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from nlp_pipeline.run_folder.writer import RunFolder
from nlp_pipeline.runner.computation import DocumentFigures
from nlp_pipeline.runner.corpus_sample import ReadCorpus
from nlp_pipeline.runner.estimate import RunEstimate
from nlp_pipeline.runner.records import RecordSource
from nlp_pipeline.runner.request import RunRequest

if TYPE_CHECKING:
    from confection import Config

Report = Callable[[Mapping[str, Any]], None]
"""Takes what the manifest of a run that is going on shall say of those who compute it."""


class PartComputer(Protocol):
    """What an executor computes with, loaded."""

    @property
    def pipes(self) -> list[str]:
        """The names of the pipeline's components."""
        ...

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Everything that can change a row, where the rows are made."""
        ...

    def estimate(self, read: ReadCorpus) -> RunEstimate | None:
        """What the run will take, briefly tried; None where it is not computed here.

        Args:
            read: Reads the corpus.
        """
        ...

    def compute(
        self, folder: RunFolder, records: RecordSource, report: Report
    ) -> Generator[DocumentFigures, None, None]:
        """Computes what is not done yet, and puts every part in its place.

        Args:
            folder: The run.
            records: All of them; of each it is found out whether its rows are there.
            report: See `Report`; called now and then.

        Yields:
            The figures of each document that is safe.
        """
        ...


class PartExecutor(Protocol):
    """Makes the parts of a run."""

    def start(self, request: RunRequest, config: Config) -> AbstractContextManager[PartComputer]:
        """Loads what it takes, and lets go of it at the end of the block."""
        ...
