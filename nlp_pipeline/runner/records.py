"""Where the records of a run come from: its corpus or, for `retry`, its own tables."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from nlp_pipeline.corpus import Record, Reject, count_documents, read_corpus
from nlp_pipeline.corpus.corpus_file import Sources
from nlp_pipeline.corpus.data_set import data_set_records, is_data_set
from nlp_pipeline.corpus.database import check_query
from nlp_pipeline.corpus.documents.conversion import Converter
from nlp_pipeline.corpus.documents.document_file import require_models
from nlp_pipeline.corpus.memory_records import is_in_memory, record_lines
from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.read_options import ReadOptions
from nlp_pipeline.corpus.remote_store import RemoteStore
from nlp_pipeline.corpus.sources import STDIN, check_together, find_sources
from nlp_pipeline.errors.database import QueryNeedsADatabase
from nlp_pipeline.errors.run import CorpusNeeded, documents_tried_again, records_changed
from nlp_pipeline.errors.run_folder import FileChanges
from nlp_pipeline.run_folder.failed_records import ledger_entries, records_again, retry_chosen
from nlp_pipeline.run_folder.folder import FINISHED, read_manifest, refuse_strangers
from nlp_pipeline.run_folder.ledger import Entry, RetryWhen, entry_of, failed_ones, retry_nothing
from nlp_pipeline.run_folder.parts import Load
from nlp_pipeline.run_folder.resume import ResumePlan
from nlp_pipeline.run_folder.stdin import (
    CONVERSIONS,
    COPY,
    FETCHED,
    RECORDS,
    LineStream,
    keep,
    spooled,
)
from nlp_pipeline.run_folder.writer import RunFolder
from nlp_pipeline.runner.manifest import (
    INPUTS,
    NAMED_BY_STEM,
    input_changes,
    input_digests,
    known_inputs,
    named_by_stem,
)
from nlp_pipeline.runner.request import Progress, RunRequest

_TABULAR = ("csv", "parquet", "xlsx", "database", "jsonl", "squad")
"""Formats of records, in which the text is a column or a field with a name."""


class RecordSource(Protocol):
    """The records of a run, and what the run has to know of where they come from."""

    @property
    def retry_when(self) -> RetryWhen:
        """Which documents that failed before are computed again."""
        ...

    @property
    def may_change(self) -> bool:
        """Whether the run may go on with other settings: whether every record can be had."""
        ...

    def check(self) -> None:
        """Finds out, before anything is loaded, whether there can be records.

        Raises:
            NlpPipelineError: There can be none; the message says why.
        """
        ...

    def open(self) -> AbstractContextManager[None]:
        """Holds what the records are read from until the end of the block."""
        ...

    def entries(self, folder: RunFolder) -> Iterable[Entry]:
        """The records as the ledger knows them, from the first. Nothing is written yet."""
        ...

    def file_changes(self) -> FileChanges:
        """What has become of the files of the corpus, where `plan_resume` finds other records."""
        ...

    def is_complete(self, folder: RunFolder, plan: ResumePlan) -> bool:
        """Whether the plan leaves nothing to compute."""
        ...

    def begin(self, plan: ResumePlan, description: Mapping[str, Any]) -> dict[str, Any]:
        """Tells of what is computed again, and returns the manifest of the run.

        Args:
            plan: What will be computed.
            description: What `describe` says of this process.
        """
        ...

    def total(self, folder: RunFolder) -> int | None:
        """How many records there are; None where only reading them would tell."""
        ...

    def records(self, folder: RunFolder) -> Iterable[tuple[Entry, Load]]:
        """All records from the first: as the ledger knows each, and a way to have it."""
        ...


class CorpusRecords:
    """The records of a run's corpus, as they are now.

    Args:
        request: The run.
        progress: Is told what the reader notices.
    """

    def __init__(self, request: RunRequest, progress: Progress) -> None:
        self._request = request
        self._progress = progress
        self.may_change = True
        self._stdin: Path | None = None
        self._copy = COPY
        self._converter = Converter(request.out / CONVERSIONS, request.conversion)
        self._store = RemoteStore(request.out / FETCHED, allow_private=request.allow_private)
        self._stems: list[str] = []
        self._inputs: dict[str, str] = {}
        self.retry_when: RetryWhen = failed_ones if request.retry else retry_nothing

    def check(self) -> None:
        """See `RecordSource.check`.

        Raises:
            CorpusError: The corpus cannot be read.
            OutputError: The folder holds something else than a run.
        """
        listing = _checked_sources(self._request, self._store)
        require_models(listing, self._converter)
        refuse_strangers(self._request.out)
        # The first row tells whether there is the text. To a run that goes on it matters first
        # whether the name of the text is the one that the run knows.
        begins = self._request.fresh or read_manifest(self._request.out) is None
        if begins and _has_a_header(listing):
            next(self.silently(), None)

    def open(self) -> AbstractContextManager[None]:
        """Copies standard input into the run's folder, where that is the corpus."""
        return self._spooled() if self._request.corpus == STDIN else nullcontext()

    @contextmanager
    def _spooled(self) -> Iterator[None]:
        request = self._request
        with spooled(request.out, sys.stdin.buffer, fresh=request.fresh) as copy:
            self._stdin = copy
            yield

    def entries(self, folder: RunFolder) -> Iterable[Entry]:
        """See `RecordSource.entries`. Warnings come with the records, which are read later."""
        manifest = read_manifest(folder.path)
        self._stems, self._inputs = named_by_stem(manifest), known_inputs(manifest)
        return map(entry_of, self.silently())

    def file_changes(self) -> FileChanges:
        """See `RecordSource.file_changes`; what is kept as one file in the run has no files."""
        if self._stdin is not None:
            return FileChanges()
        return input_changes(self._inputs, self._input_digests())

    def is_complete(self, folder: RunFolder, plan: ResumePlan) -> bool:
        """Whether the manifest says that all is done, and no part was found damaged."""
        manifest = read_manifest(folder.path) or {}
        n_done = folder.documents_done
        finished = manifest.get("state") == FINISHED and manifest.get("total", n_done) == n_done
        return plan.nothing_to_do and finished

    def begin(self, plan: ResumePlan, description: Mapping[str, Any]) -> dict[str, Any]:
        """See `RecordSource.begin`; the copy of standard input becomes the run's."""
        if plan.changed:
            self._progress.warn(records_changed(plan.changed))
        if plan.failed:
            self._progress.warn(documents_tried_again(plan.failed))
        if self._stdin is not None:
            self._stdin = keep(self._stdin, self._copy)
        return {**description, INPUTS: self._input_digests(), NAMED_BY_STEM: self._stems}

    def _input_digests(self) -> dict[str, str]:
        return input_digests(
            self._request.corpus,
            self._stdin,
            further_sources=self._request.further_sources,
            known_files=self._inputs,
            store=self._store,
        )

    def total(self, folder: RunFolder) -> int | None:
        """See `RecordSource.total`."""
        request = self._request
        return count_documents(
            request.corpus,
            request.limit,
            stdin=self._stdin,
            query=request.query,
            further_sources=request.further_sources,
            store=self._store,
        )

    def records(self, folder: RunFolder) -> Iterable[tuple[Entry, Load]]:
        """See `RecordSource.records`."""
        for item in self._read(self._progress.warn):
            yield entry_of(item), partial(_identity, item)

    def silently(self) -> Iterator[Record | Reject]:
        """The records as they are now; what the reader notices is said when the run reads them."""
        return self._read(lambda _: None)

    def _read(self, on_warning: Any) -> Iterator[Record | Reject]:
        request = self._request
        return read_corpus(
            request.corpus,
            text_key=request.text_key,
            id_key=request.id_key,
            limit=request.limit,
            max_length=request.max_length,
            on_warning=on_warning,
            stdin=self._stdin,
            named_by_stem=self._stems,
            known_files=self._inputs,
            converter=self._converter,
            query=request.query,
            further_sources=request.further_sources,
            store=self._store,
        )


def records_of(corpus: Any, request: RunRequest, progress: Progress) -> CorpusRecords:
    """Where the records of a corpus come from: files, or what is read once and kept.

    Args:
        corpus: As in `read_corpus`.
        request: The run.
        progress: Is told what the reader notices.
    """
    if is_in_memory(corpus) or is_data_set(corpus):
        return MemoryRecords(corpus, request, progress)
    return CorpusRecords(request, progress)


class MemoryRecords(CorpusRecords):
    """Records that a program or a data set gives, kept in the run's folder as lines of JSON.

    Args:
        corpus: As in `read_corpus`; is read once.
        request: The run.
        progress: Is told what the reader notices.
    """

    def __init__(self, corpus: Any, request: RunRequest, progress: Progress) -> None:
        super().__init__(request, progress)
        self._corpus = corpus
        self._copy = RECORDS
        self._lines: Iterator[bytes] = iter(())

    def check(self) -> None:
        """See `RecordSource.check`.

        Raises:
            CorpusError: The object holds no records, or the data set cannot be read.
            OutputError: The folder holds something else than a run.
        """
        request = self._request
        corpus = self._corpus
        check_together(corpus, request.further_sources)
        if is_data_set(corpus):
            corpus = data_set_records(str(corpus), request.text_key)
        options = ReadOptions(request.text_key, request.id_key)
        refuse_strangers(request.out)
        self._lines = record_lines(corpus, options, Notes(self._progress.warn))

    @contextmanager
    def open(self) -> Iterator[None]:
        """Copies the records into the run's folder."""
        request = self._request
        limit = None if request.limit is None else max(0, request.limit)
        stream = LineStream(islice(self._lines, limit))
        with spooled(request.out, stream, fresh=request.fresh, name=RECORDS) as copy:
            self._stdin = copy
            yield


class FailedRecords:
    """The records of the finished parts of a run, read back from its own tables.

    Args:
        request: The run, as its manifest tells it.
        manifest: The run's manifest before this process.
        types: Only documents with an error of one of these types are computed again.
        ids: Only these documents.
    """

    def __init__(
        self,
        request: RunRequest,
        manifest: Mapping[str, Any],
        *,
        types: tuple[str, ...] = (),
        ids: tuple[str, ...] = (),
    ) -> None:
        self._request = request
        self._manifest = manifest
        self.may_change = False
        # Only a finished run has counts: with them, one that is not finished now is a retry that
        # was interrupted, and no record of it is missing.
        self._finished = manifest.get("state") == FINISHED or "counts" in manifest
        self.retry_when: RetryWhen = retry_chosen(types, ids)

    def check(self) -> None:
        """See `RecordSource.check`: whoever has the manifest has the folder of a run."""

    def open(self) -> AbstractContextManager[None]:
        """See `RecordSource.open`."""
        return nullcontext()

    def entries(self, folder: RunFolder) -> Iterable[Entry]:
        """See `RecordSource.entries`.

        Raises:
            CorpusNeeded: A part of the finished run was found damaged, or a ledger is.
        """
        if self._finished and folder.documents_done != self._manifest.get("total"):
            raise CorpusNeeded(str(folder.path), self._request.corpus)
        return ledger_entries(folder, self._request.corpus)

    def file_changes(self) -> FileChanges:
        """See `RecordSource.file_changes`: no file is read."""
        return FileChanges()

    def is_complete(self, folder: RunFolder, plan: ResumePlan) -> bool:
        """Whether nothing that failed is to be computed again, and the books are closed."""
        return not plan.failed and self._finished == (self._manifest.get("state") == FINISHED)

    def begin(self, plan: ResumePlan, description: Mapping[str, Any]) -> dict[str, Any]:
        """See `RecordSource.begin`: the run stays the one that it was, begun anew."""
        state = FINISHED if self._finished else self._manifest.get("state")
        return {**self._manifest, "started": description["started"], "state": state}

    def total(self, folder: RunFolder) -> int | None:
        """See `RecordSource.total`."""
        return folder.documents_done

    def records(self, folder: RunFolder) -> Iterable[tuple[Entry, Load]]:
        """See `RecordSource.records`."""
        return records_again(folder, self._request.part_size, self._request.corpus)


def _checked_sources(request: RunRequest, store: RemoteStore) -> Sources:
    """The files of a corpus, which are there, and can be asked where they are databases.

    Raises:
        CorpusError: It cannot be read.
        QueryNeedsADatabase: There is a query, and no database.
    """
    check_together(request.corpus, request.further_sources)
    listing = find_sources(request.corpus, further_sources=request.further_sources, store=store)
    databases = [file for file in listing.files if file.format == "database"]
    for file in databases:
        if isinstance(file.path, Path):  # nothing is fetched before the folder is the run's
            check_query(file, request.query)
    if request.query is not None and not databases:
        raise QueryNeedsADatabase(request.corpus)
    return listing


def _has_a_header(listing: Sources) -> bool:
    """Whether a corpus is one file that can be opened now and is wrong as a whole or not at all."""
    formats = {file.format for file in listing.files if isinstance(file.path, Path)}
    return not listing.is_folder and bool(formats & set(_TABULAR))


def _identity(item: Record | Reject) -> Record | Reject:
    return item
