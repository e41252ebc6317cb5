"""The records of a finished run, read back from its own tables: a question needs no corpus."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from typing import Any

from nlp_pipeline.corpus import Record
from nlp_pipeline.corpus.record import Question
from nlp_pipeline.errors.ask import RunUnfinished
from nlp_pipeline.errors.run_folder import FileChanges
from nlp_pipeline.run_folder.failed_records import layouts_of, ledger_entries
from nlp_pipeline.run_folder.folder import FINISHED
from nlp_pipeline.run_folder.further_questions import FurtherQuestion
from nlp_pipeline.run_folder.ledger import Entry, RetryWhen, retry_nothing
from nlp_pipeline.run_folder.parts import Load
from nlp_pipeline.run_folder.receipts import read_table_of
from nlp_pipeline.run_folder.resume import ResumePlan
from nlp_pipeline.run_folder.writer import RunFolder
from nlp_pipeline.runner.request import RunRequest

_COLUMNS = ["text", "meta"]


class OwnRecords:
    """A `RecordSource`: all records of a finished run, which is asked a further question.

    Args:
        request: The run, as its manifest tells it.
        manifest: The run's manifest before this process.
        question: Is taken in before anything is computed; None where the run has it already.
    """

    def __init__(
        self, request: RunRequest, manifest: Mapping[str, Any], question: FurtherQuestion | None
    ) -> None:
        self._request = request
        self._manifest = manifest
        self._question = question
        self.retry_when: RetryWhen = retry_nothing
        self.may_change = False

    def check(self) -> None:
        """See `RecordSource.check`.

        Raises:
            RunUnfinished: The run has not come to its end.
        """
        # One that has counts was finished: what goes on since then, its tables can tell.
        if self._manifest.get("state") != FINISHED and "counts" not in self._manifest:
            raise RunUnfinished(str(self._request.out))

    def open(self) -> AbstractContextManager[None]:
        """See `RecordSource.open`."""
        return nullcontext()

    def entries(self, folder: RunFolder) -> Iterable[Entry]:
        """See `RecordSource.entries`; the run has the question from here on.

        Raises:
            RunUnfinished: A part was found damaged.
        """
        if folder.documents_done != self._manifest.get("total"):
            raise RunUnfinished(str(folder.path))
        if self._question is not None:
            folder.ask(self._question)
        return ledger_entries(folder, self._request.corpus)

    def file_changes(self) -> FileChanges:
        """See `RecordSource.file_changes`: no file is read."""
        return FileChanges()

    def is_complete(self, folder: RunFolder, plan: ResumePlan) -> bool:
        """Whether every document has been asked, and the books are closed."""
        return plan.nothing_to_do and self._manifest.get("state") == FINISHED

    def begin(self, plan: ResumePlan, description: Mapping[str, Any]) -> dict[str, Any]:
        """See `RecordSource.begin`: the run stays the one that it was."""
        return {**self._manifest, "started": description["started"], "state": FINISHED}

    def total(self, folder: RunFolder) -> int | None:
        """See `RecordSource.total`."""
        return folder.documents_done

    def records(self, folder: RunFolder) -> Iterable[tuple[Entry, Load]]:
        """See `RecordSource.records`."""

        @lru_cache(maxsize=1)  # they are asked for in their order
        def rows(part: int) -> list[dict[str, Any]]:
            receipt = folder.receipts[part]
            table = read_table_of(folder.path, receipt, "documents", folder.format, _COLUMNS)
            values: list[dict[str, Any]] = table.to_pylist()
            return values

        @lru_cache(maxsize=1)
        def layouts(part: int) -> dict[str, list[dict[str, Any]]]:
            return layouts_of(folder, part)

        def load(entry: Entry, position: int) -> Record:
            part, offset = divmod(position, self._request.part_size)
            row = {**rows(part)[offset], "layout": layouts(part).get(entry.id, ())}
            return _record(entry, position, row)

        return self._with_loads(folder, load)

    def _with_loads(self, folder: RunFolder, load: Any) -> Iterator[tuple[Entry, Load]]:
        for position, entry in enumerate(ledger_entries(folder, self._request.corpus)):
            yield entry, partial(load, entry, position)


def _record(entry: Entry, position: int, row: Mapping[str, Any]) -> Record:
    """A record as the tables have it."""
    meta = entry.meta or json.loads(row["meta"] or "{}")
    questions = tuple(Question(q["id"], q["text"]) for q in entry.questions)
    return Record(
        position,
        entry.id,
        text=row["text"] or "",
        meta=meta,
        questions=questions,
        source=entry.source,
        line=entry.line,
        layout=tuple(row["layout"]),
    )
