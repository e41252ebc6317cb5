"""`export_run`: what is exported and where to, and the tables as every writer takes them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from nlp_pipeline.errors.export import TargetIsAFolder, TargetIsNoFolder, UnknownTarget
from nlp_pipeline.errors.run import TableNotFound
from nlp_pipeline.export.export_targets import TARGETS, writer_of
from nlp_pipeline.export.meta_columns import MetaColumns
from nlp_pipeline.run_folder.files import Format, disk_errors
from nlp_pipeline.run_folder.read import finished_parts, read_part, run_manifest
from nlp_pipeline.run_folder.receipts import Receipt
from nlp_pipeline.tables.schemas import TABLES

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
    """

    run: Path
    target: Path
    tables: tuple[str, ...]
    raw: bool = False
    flatten_meta: bool = False

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

    def schema(self, table: str) -> pa.Schema:
        """The columns of a table as it is written."""
        columns = self.meta_columns if table == "documents" else None
        return columns.schema(TABLES[table]) if columns else TABLES[table]

    def parts(self, table: str) -> Iterator[pa.Table]:
        """A table part by part, in the order of the corpus."""
        columns = self.meta_columns if table == "documents" else None
        for part in self._parts(table):
            yield columns.flattened(part) if columns else part

    def _parts(self, table: str, columns: list[str] | None = None) -> Iterator[pa.Table]:
        format_: Format = run_manifest(self.run)["format"]
        for receipt in self.receipts:
            yield read_part(self.run, receipt, table, format_, columns)


def export_run(
    run: str | Path,
    target: str | Path,
    to: str = "parquet",
    tables: Iterable[str] | None = None,
    *,
    raw: bool = False,
    flatten_meta: bool = False,
) -> list[Path]:
    """Writes tables of a run in another form, part by part in constant memory.

    In CSV a free text that a spreadsheet would run as a formula gets a quote in front
    (`run_folder.spreadsheet`), and a warning says how many did. Annotation is never changed.

    Args:
        run: The run's folder, finished or still going on.
        target: The folder for the files; for `duckdb`, `sqlite` and `xlsx` the file.
        to: A name of `TARGETS`.
        tables: Which tables; all by default.
        raw: CSV holds every text as it stands in the run.
        flatten_meta: Each field of `documents.meta` is a column of its own, such as `meta.author`.

    Returns:
        The files written.

    Raises:
        RunNotFound: There is no run.
        TableNotFound: There is no table of that name.
        UnknownTarget: There is no form of that name.
        TargetIsAFolder: A file is to be written where a folder is.
        TargetIsNoFolder: Files are to be written into what is a file.
        ExtraMissing: A package that the form needs is not installed.
        TooManyMetaFields: `meta` has more fields than a table can have columns.
    """
    if to not in TARGETS:
        raise UnknownTarget(to, TARGETS)
    names = list(TABLES if tables is None else tables)
    for name in names:
        if name not in TABLES:
            raise TableNotFound(name, TABLES)
    path = Path(target)
    if TARGETS[to].is_folder and path.exists() and not path.is_dir():
        raise TargetIsNoFolder(str(path), to)
    if not TARGETS[to].is_folder and path.is_dir():
        raise TargetIsAFolder(str(path), to)
    ordered = tuple(name for name in TABLES if name in names)
    job = ExportJob(Path(run), path, ordered, raw=raw, flatten_meta=flatten_meta)
    run_manifest(job.run)
    writer = writer_of(TARGETS[to])
    with disk_errors(path):
        (path if TARGETS[to].is_folder else path.parent).mkdir(parents=True, exist_ok=True)
        return writer(job)
