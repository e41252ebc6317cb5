"""Writes into the folder of a run: its manifest, its next part, and finished parts anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from nlp_pipeline.run_folder.data_set_card import write_card
from nlp_pipeline.run_folder.errors_file import ErrorsFile
from nlp_pipeline.run_folder.files import (
    Format,
    disk_errors,
    write_json,
    write_table,
    write_text,
)
from nlp_pipeline.run_folder.further_questions import (
    FurtherQuestion,
    read_further_questions,
    write_further_questions,
)
from nlp_pipeline.run_folder.journal import Journal
from nlp_pipeline.run_folder.ledger import Entry, RunSettings, ledger_path, write_ledger
from nlp_pipeline.run_folder.receipt_blocks import BLOCK
from nlp_pipeline.run_folder.receipt_list import ReceiptList
from nlp_pipeline.run_folder.receipts import (
    Receipt,
    check_part,
    check_sizes,
    part_file,
    part_files,
    read_table_of,
    receipt_of,
    receipt_path,
    write_receipt,
)
from nlp_pipeline.run_folder.spreadsheet import for_disk
from nlp_pipeline.run_folder.staging import (
    discard_sealed,
    put_in_place,
    read_sealed,
    seal_part,
    sealed_parts,
)
from nlp_pipeline.tables.frames import iter_tables
from nlp_pipeline.tables.schemas import TABLES

MANIFEST = "manifest.json"
CONFIG = "config.cfg"
SETTINGS = "settings"
"""What the manifest calls the digests of `RunSettings`."""


class RunFolder:
    """The folder of one run, open for writing.

    Args:
        path: The folder; made by `open_run` where it is missing.
        format_: Of the parts.
        receipts: Of the parts that are done already.
        settings: With which its rows are made.
        changes: What has changed in the fingerprint since the last process, as it was and as it is.
    """

    def __init__(
        self,
        path: Path,
        format_: Format,
        receipts: ReceiptList,
        *,
        settings: RunSettings = RunSettings(),  # noqa: B008  # frozen
        changes: Mapping[str, tuple[Any, Any]] | None = None,
    ) -> None:
        self.path = path
        self.format = format_
        self.receipts = receipts
        self.settings = settings
        self.changes = dict(changes or {})
        self.further_questions = read_further_questions(path)
        self.sealed: dict[int, Receipt] = sealed_parts(path)
        self.errors = ErrorsFile(path, format_)
        self._written_parts: set[int] = set()

    @property
    def documents_done(self) -> int:
        """Records in the parts that are done."""
        return self.receipts.totals.documents

    def ask(self, question: FurtherQuestion) -> None:
        """Takes a further question in, before anything is computed."""
        self.further_questions = self.further_questions.plus(question)
        write_further_questions(self.path, self.further_questions)

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replaces the manifest; with which settings rows are made stands in it too."""
        with disk_errors(self.path, self.documents_done):
            write_json(self.path / MANIFEST, {**manifest, SETTINGS: asdict(self.settings)})

    def write_config(self, text: str) -> None:
        """Keeps the resolved pipeline config beside the tables."""
        with disk_errors(self.path, self.documents_done):
            write_text(self.path / CONFIG, text)

    def journal(self, part: int | None = None) -> Journal:
        """The journal of a part; of the next one by default."""
        return Journal(self.path, len(self.receipts) if part is None else part, self.documents_done)

    def has_part(self, number: int) -> bool:
        """Whether a part is whole, in its place or waiting for it."""
        return self.is_in_place(number) or number in self.sealed

    def is_in_place(self, number: int) -> bool:
        """Whether a part is done, and so are all before it."""
        return number < len(self.receipts)

    def keep_part(self, number: int) -> None:
        """Leaves a whole part as it is; one that has waited takes its place, if it is the next."""
        if not self.is_in_place(number):
            self.place(number)

    def write_part(self, number: int, tables: Mapping[str, pa.Table], **figures: Any) -> None:
        """Writes the next part, or a finished one anew; takes what `commit` takes."""
        if self.is_in_place(number):
            self.replace(number, tables, **figures)
            return
        if self.sealed.pop(number, None) is not None:
            discard_sealed(self.path, number)
        self.commit(tables, **figures)

    def place(self, number: int) -> Receipt:
        """Puts a sealed part in its place: the next, or one that is made anew.

        Raises:
            PartDamaged: A file of it is not there, or not as long as its receipt says.
        """
        receipt = self.sealed.pop(number)
        with disk_errors(self.path, self.documents_done):
            for name in TABLES:
                (self.path / name).mkdir(exist_ok=True)
            if self.is_in_place(number):
                self.errors.distrust()
            else:
                errors = read_sealed(self.path, receipt, "errors", self.format)
                self.errors.append(errors, self.receipts)
            put_in_place(self.path, receipt, self.format)
            check_sizes(self.path, receipt, self.format)
        self._enter(receipt)
        return receipt

    def commit(
        self,
        tables: Mapping[str, pa.Table],
        *,
        documents: int,
        failed: int,
        output_tokens: int,
        ledger: Iterable[Entry] = (),
    ) -> Receipt:
        """Writes the next part: every table, the errors, the ledger, then the receipt."""
        number = len(self.receipts)
        with disk_errors(self.path, self.documents_done):
            for name, table in tables.items():
                file = part_file(self.path, name, number, self.format)
                file.parent.mkdir(exist_ok=True)
                write_table(for_disk(name, table, self.format), file, self.format)
            self.errors.append(tables["errors"], self.receipts)
            path = ledger_path(self.path, number)
            path.parent.mkdir(exist_ok=True)
            write_ledger(path, ledger)
            files = part_files(self.path, number, self.format)
            receipt = receipt_of(
                number,
                tables,
                files,
                self.format,
                documents=documents,
                failed=failed,
                output_tokens=output_tokens,
            )
            write_receipt(receipt_path(self.path, number), receipt)
        self._enter(receipt)
        return receipt

    def replace(self, number: int, tables: Mapping[str, pa.Table], **figures: Any) -> Receipt:
        """Writes a finished part anew: beside the old one first, then in its place.

        A process killed on the way leaves the old part, or a new one that `open_run` puts in its
        place. Takes what `commit` takes.
        """
        with disk_errors(self.path, self.documents_done):
            receipt = seal_part(self.path, number, tables, self.format, **figures)
            self.errors.distrust()
            put_in_place(self.path, receipt, self.format)
        self._enter(receipt)
        return receipt

    def read_part(self, number: int) -> dict[str, pa.Table]:
        """Every table of a part that is whole."""
        if number in self.sealed:
            receipt = self.sealed[number]
            return {n: read_sealed(self.path, receipt, n, self.format) for n in TABLES}
        receipt = self.receipts[number]
        return {name: read_table_of(self.path, receipt, name, self.format) for name in TABLES}

    def close_books(self) -> None:
        """Counts the parts again, and makes sure that `errors.jsonl` says what they say.

        An empty corpus has one part without rows.

        The rows of those that were there already were counted when the folder was opened: of them
        only the bytes are looked at.

        Raises:
            PartDamaged: One does not hold what its receipt says.
        """
        if not self.receipts:
            rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
            self.commit(dict(iter_tables(rows)), documents=0, failed=0, output_tokens=0)
        with disk_errors(self.path, self.documents_done):
            for receipt in self.receipts:
                check = check_part if receipt.part in self._written_parts else check_sizes
                check(self.path, receipt, self.format)
            self._written_parts.clear()
            self.errors.mend(self.receipts)
            counts = Counter(dict.fromkeys(TABLES, 0))
            for receipt in self.receipts:
                counts.update({name: receipt.rows.get(name, 0) for name in TABLES})
            write_card(self.path, self.format, counts)
            self._pack()

    def _enter(self, receipt: Receipt) -> None:
        """Takes in the receipt of a part that is written, and packs a block that is complete."""
        self._written_parts.add(receipt.part)
        self.receipts.put(receipt)
        if receipt.part + 1 == len(self.receipts) and len(self.receipts) % BLOCK == 0:
            with disk_errors(self.path, self.documents_done):
                self._pack()

    def _pack(self) -> None:
        """Counts again what was written, and puts its receipts into blocks that are complete."""
        if len(self.receipts) >= BLOCK:
            for number in sorted(self._written_parts):
                check_part(self.path, self.receipts[number], self.format)
            self._written_parts.clear()
            self.receipts.pack()
