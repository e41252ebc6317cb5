"""`export_run`: what is exported and where to, and the tables as every writer takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import pyarrow as pa

from nlp_pipeline.errors.export import TargetNotWritable, UnknownTarget
from nlp_pipeline.errors.run_folder import TableNotFound
from nlp_pipeline.export.corrections import CORRECTED, NEIGHBOURS, Corrections
from nlp_pipeline.export.export_targets import TARGETS, writer_of
from nlp_pipeline.export.meta_columns import MetaColumns
from nlp_pipeline.export.target_path import check_target
from nlp_pipeline.run_folder.files import Format, disk_errors
from nlp_pipeline.run_folder.read import finished_parts, read_part, run_manifest
from nlp_pipeline.run_folder.receipts import Receipt
from nlp_pipeline.run_folder.review_table import read_reviews
from nlp_pipeline.tables.schemas import REVIEWS, SCHEMAS

_META = ("documents", "meta")


@dataclass(frozen=True)
class ExportJob:
    """The tables of a run as they are when the job begins, whatever the run adds meanwhile.

    Attributes:
        run: The run's folder.
        target: The folder or the file to write.
        tables: Their names, in the order of the run's.
        raw: Whether texts that a spreadsheet would run stay as they are in CSV.
        flatten_meta: Whether each field of `documents.meta` is a column of its own.
        reviewed: Whether rows are as people have corrected them.
    """

    run: Path
    target: Path
    tables: tuple[str, ...]
    raw: bool = False
    flatten_meta: bool = False
    reviewed: bool = False

    @cached_property
    def receipts(self) -> Iterable[Receipt]:
        """The finished parts."""
        return finished_parts(self.run)

    @cached_property
    def meta_columns(self) -> MetaColumns | None:
        """The columns in place of `documents.meta`; None where that stays one."""
        if not self.flatten_meta or "documents" not in self.tables:
            return None
        return MetaColumns(part["meta"] for part in self._parts("documents", ["meta"]))

    @cached_property
    def corrections(self) -> Corrections | None:
        """What people have corrected; None where rows stay as the run has them."""
        return Corrections.of_run(self.run) if self.reviewed else None

    def schema(self, table: str) -> pa.Schema:
        """The columns of a table as it is written."""
        columns = self.meta_columns if table == "documents" else None
        return columns.schema(SCHEMAS[table]) if columns else SCHEMAS[table]

    def parts(self, table: str) -> Iterator[pa.Table]:
        """A table part by part, in the order of the corpus."""
        columns = self.meta_columns if table == "documents" else None
        for part in self._parts(table):
            yield columns.flattened(part) if columns else part

    def joined_parts(self, columns: Mapping[str, list[str]]) -> Iterator[dict[str, pa.Table]]:
        """Some columns of some tables part by part: a document's rows lie in the same one."""
        for receipt in self.receipts:
            yield {name: self._part(receipt, name, columns[name]) for name in columns}

    def _parts(self, table: str, columns: list[str] | None = None) -> Iterator[pa.Table]:
        if table == REVIEWS:
            yield read_reviews(self.run, self._format)
            return
        for receipt in self.receipts:
            yield self._part(receipt, table, columns)

    def _part(self, receipt: Receipt, table: str, columns: list[str] | None) -> pa.Table:
        if self.corrections is None or table not in CORRECTED:
            return read_part(self.run, receipt, table, self._format, columns)
        part = read_part(self.run, receipt, table, self._format)
        near = {
            name: partial(read_part, self.run, receipt, name, self._format) for name in NEIGHBOURS
        }
        part = self.corrections.corrected(table, part, near)
        return part if columns is None else part.select(columns)

    @cached_property
    def _format(self) -> Format:
        format_: Format = run_manifest(self.run)["format"]
        return format_


def export_run(
    run: str | Path,
    target: str | Path,
    to: str = "parquet",
    tables: Iterable[str] | None = None,
    *,
    raw: bool = False,
    flatten_meta: bool = False,
    reviewed: bool = False,
) -> list[Path]:
    """Writes tables of a run in another form, part by part in constant memory.

    In CSV a free text that a spreadsheet would run as a formula gets a quote in front
    (`run_folder.spreadsheet`), and a warning says how many did. Annotation is never changed.

    Args:
        run: The run's folder, finished or still going on.
        target: The folder for the files; for a form that is one file the file.
        to: A name of `TARGETS`.
        tables: Which tables; by default all that the form can take.
        raw: CSV holds every text as it stands in the run.
        flatten_meta: Each field of `documents.meta` is a column of its own, such as `meta.author`.
        reviewed: Answers, labels, entities and values of objects are as people have corrected
            them.

    Returns:
        The files written.

    Raises:
        RunNotFound: There is no run.
        TableNotFound: There is no table of that name, or the form does not take it.
        NoReviews: Rows are to be as people have corrected them, and nobody has.
        UnknownTarget: There is no form of that name.
        TargetRefused: Nothing can or should be written there; every subclass says why.
        ExtraMissing: A package that the form needs is not installed.
        TooManyMetaFields: `meta` has more fields than a table can have columns.
    """
    if to not in TARGETS:
        raise UnknownTarget(to, TARGETS)
    choices = TARGETS[to].tables or tuple(SCHEMAS)
    names = list(tables or ())
    for name in names:
        if name not in choices:
            raise TableNotFound(name, choices)
    path = Path(target)
    ordered = tuple(name for name in choices if name in names)
    written_tables = ordered or _all_tables(Path(run), choices)
    check_target(Path(run), path, to, written_tables)
    flags = {"raw": raw, "flatten_meta": flatten_meta, "reviewed": reviewed}
    job = ExportJob(Path(run), path, written_tables, **flags)
    _ = job.corrections  # before anything is written: there may be none
    writer = writer_of(TARGETS[to])
    with disk_errors(path, not_writable=TargetNotWritable):
        (path if TARGETS[to].is_folder else path.parent).mkdir(parents=True, exist_ok=True)
        return writer(job)


def _all_tables(run: Path, choices: tuple[str, ...]) -> tuple[str, ...]:
    """What is exported where nobody says what: `reviews` only where somebody has made some."""
    format_: Format = run_manifest(run)["format"]
    has_reviews = REVIEWS in choices and read_reviews(run, format_).num_rows
    return tuple(name for name in choices if name != REVIEWS or has_reviews)
