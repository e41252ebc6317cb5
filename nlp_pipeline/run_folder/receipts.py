"""The receipts: a part is done once its receipt is there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pyarrow as pa

from nlp_pipeline.errors.base import counted
from nlp_pipeline.errors.escapes import described
from nlp_pipeline.errors.run_folder import PartDamaged
from nlp_pipeline.run_folder.files import Format, file_digest, read_table, write_json
from nlp_pipeline.run_folder.spreadsheet import unguarded
from nlp_pipeline.tables.schemas import TABLES

RECEIPTS = "_receipts"
_CHECK = "check"
"""The digest of a receipt's own values, in its file."""


@dataclass(slots=True)
class Receipt:
    """What a part holds.

    Attributes:
        part: 0-based number.
        documents: Records of the corpus in it, rejects counted.
        failed: How many of them have the status `error`.
        output_tokens: Tokens generated for them.
        rows: Rows of each table.
        bytes: Size of each table's file.
        digests: Of each table's file; none in a run of before there were any.
        guarded: Whether its tables are CSV with a quote before what a spreadsheet would run.
    """

    part: int
    documents: int
    failed: int
    output_tokens: int
    rows: dict[str, int] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    guarded: bool = False


def write_receipt(file: Path, receipt: Receipt) -> None:
    """Writes a receipt atomically, with a digest of itself."""
    values = asdict(receipt)
    write_json(file, {**values, _CHECK: _digest_of(values)})


def receipt_path(run: Path, part: int) -> Path:
    """Where the receipt of a part lies."""
    return run / RECEIPTS / f"part-{part:05}.json"


def read_receipt(file: Path) -> Receipt | None:
    """A receipt; None where the file is cut, empty or changed, as after a crash of the machine."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        check = values.pop(_CHECK, None)
        if check not in (None, _digest_of(values)):
            return None
        return Receipt(**values)
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _digest_of(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True)
    return blake2b(text.encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()


def part_file(run: Path, table: str, part: int, format_: Format) -> Path:
    """Where a table of a part lies."""
    return run / table / f"part-{part:05}.{format_}"


def part_files(run: Path, part: int, format_: Format) -> dict[str, Path]:
    """Where every table of a part lies."""
    return {name: part_file(run, name, part, format_) for name in TABLES}


def sizes(files: Mapping[str, Path]) -> dict[str, int]:
    """Bytes of each file, by its table."""
    return {name: file.stat().st_size for name, file in files.items()}


def digests(files: Mapping[str, Path]) -> dict[str, str]:
    """A digest of each file, by its table: one flipped bit in it makes another."""
    return {name: file_digest(file) for name, file in files.items()}


def receipt_of(
    part: int,
    tables: Mapping[str, pa.Table],
    files: Mapping[str, Path],
    format_: Format,
    *,
    documents: int,
    failed: int,
    output_tokens: int,
) -> Receipt:
    """The receipt of a part whose files are written.

    Args:
        part: Its number.
        tables: What was written.
        files: Where each table was written to.
        format_: Of the files.
        documents: As in `Receipt`, like the others.
        failed: See there.
        output_tokens: See there.
    """
    return Receipt(
        part,
        documents,
        failed,
        output_tokens=output_tokens,
        rows={name: table.num_rows for name, table in tables.items()},
        bytes=sizes(files),
        digests=digests(files),
        guarded=format_ == "csv",
    )


def check_sizes(run: Path, receipt: Receipt, format_: Format) -> None:
    """Looks whether every file of a part is there, and as long as it was; opens none.

    Raises:
        PartDamaged: One is not.
    """
    for name in receipt.rows:
        _check_size(run, receipt, name, format_)


def check_part(run: Path, receipt: Receipt, format_: Format) -> None:
    """Looks at every byte of a part, and counts its rows again.

    Raises:
        PartDamaged: They are not those of its receipt.
    """
    check_sizes(run, receipt, format_)
    for name in receipt.rows:
        check_file(run, receipt, name, format_)


def check_file(run: Path, receipt: Receipt, table: str, format_: Format) -> None:
    """Looks at every byte of one table of a part, and counts its rows again.

    Raises:
        PartDamaged: They are not those of its receipt.
    """
    _check_size(run, receipt, table, format_)
    file, rows = part_file(run, table, receipt.part, format_), receipt.rows[table]
    with unreadable_is_damage(run, file, rows):
        compare_digest(run, file, receipt.digests.get(table))
        counted = _rows(file, TABLES[table], format_)
    compare_rows(run, file, rows, counted)


def read_table_of(
    run: Path, receipt: Receipt, table: str, format_: Format, columns: list[str] | None = None
) -> pa.Table:
    """A table of a part as it was before it was written; what it holds is not checked."""
    file = part_file(run, table, receipt.part, format_)
    return read_unguarded(file, receipt, table, format_, columns)


def read_unguarded(
    file: Path, receipt: Receipt, table: str, format_: Format, columns: list[str] | None = None
) -> pa.Table:
    """A file of a part, wherever it lies, without the quotes that CSV has got.

    A part that was written before there was this table has no row of it.
    """
    if table not in receipt.rows:
        names = TABLES[table].names if columns is None else columns
        return TABLES[table].empty_table().select(names)
    rows = read_table(file, TABLES[table], format_, columns)
    return unguarded(table, rows) if receipt.guarded else rows


def _check_size(run: Path, receipt: Receipt, table: str, format_: Format) -> None:
    file = part_file(run, table, receipt.part, format_)
    size = receipt.bytes.get(table)
    if not file.is_file():
        rows = _count_text(receipt.rows[table], "row")
        raise PartDamaged(str(run), _short(file), rows, actual="the file is missing")
    if size is not None and file.stat().st_size != size:
        reason = f"it has {file.stat().st_size}"
        raise PartDamaged(str(run), _short(file), _count_text(size, "byte"), actual=reason)


def compare_digest(run: Path, file: Path, digest: str | None) -> None:
    """Looks whether a file is the one that was written; without a digest nothing is known.

    Raises:
        PartDamaged: It is not.
    """
    if digest is not None and file_digest(file) != digest:
        raise PartDamaged(
            str(run), _short(file), f"digest {digest[:8]}", actual="its bytes have another"
        )


def compare_rows(run: Path, file: Path, rows: int, n_read: int) -> None:
    """Looks whether a table has the rows that its receipt says.

    Raises:
        PartDamaged: It has others.
    """
    if n_read != rows:
        raise PartDamaged(
            str(run), _short(file), _count_text(rows, "row"), actual=f"it has {n_read}"
        )


@contextmanager
def unreadable_is_damage(run: Path, file: Path, rows: int) -> Iterator[None]:
    """Says which file of a run is damaged, in place of what a library says of its insides.

    Raises:
        PartDamaged: The file cannot be read.
    """
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        reason = f"it cannot be read ({described(error)[:200]})"
        raise PartDamaged(
            str(run), _short(file), _count_text(rows, "row"), actual=reason
        ) from error


def _rows(file: Path, schema: pa.Schema, format_: Format) -> int:
    if format_ == "parquet":
        import pyarrow.parquet as pq

        return int(pq.read_metadata(file).num_rows)
    return int(read_table(file, schema, format_).num_rows)


def _short(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"


def _count_text(count: int, noun: str) -> str:
    return counted(count, noun, separator="")
