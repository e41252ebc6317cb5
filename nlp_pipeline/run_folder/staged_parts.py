"""Parts that are made beside a run: its folder is held by another process, which moves them in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from nlp_pipeline.run_folder.files import Format, disk_errors
from nlp_pipeline.run_folder.further_questions import read_further_questions
from nlp_pipeline.run_folder.journal import Journal
from nlp_pipeline.run_folder.ledger import RunSettings
from nlp_pipeline.run_folder.receipt_blocks import find_receipt
from nlp_pipeline.run_folder.receipts import Receipt, read_table_of
from nlp_pipeline.run_folder.staging import read_sealed, seal_part, sealed_receipt
from nlp_pipeline.run_folder.writer import MANIFEST, SETTINGS
from nlp_pipeline.tables.schemas import TABLES


def _recorded_settings(run: Path) -> RunSettings:
    """Those that whoever holds the folder has written down."""
    try:
        manifest = json.loads((run / MANIFEST).read_text(encoding="utf-8"))
        return RunSettings(**manifest[SETTINGS])
    except (OSError, ValueError, KeyError, TypeError):
        return RunSettings()


class StagedParts:
    """A `PartStore` that writes every part where it waits for its place.

    Args:
        path: The run's folder, as this machine sees it.
        format_: Of the parts.
    """

    def __init__(self, path: Path, format_: Format) -> None:
        self.path = path
        self.format = format_
        self.settings = _recorded_settings(path)
        self.further_questions = read_further_questions(path)
        self.receipts: dict[int, Receipt] = {}
        self._whole_parts: dict[int, Receipt] = {}

    def has_part(self, number: int) -> bool:
        """Whether a part is whole, in its place or waiting for it."""
        receipt = sealed_receipt(self.path, number) or find_receipt(self.path, number)
        if receipt is not None:
            self._whole_parts[number] = receipt
        return receipt is not None

    def is_in_place(self, number: int) -> bool:
        """Never, as far as is known here: whoever holds the folder has to hear of every part."""
        return False

    def journal(self, part: int) -> Journal:
        """Opens the journal of a part."""
        return Journal(self.path, part, safe=0)

    def read_part(self, number: int) -> dict[str, pa.Table]:
        """Every table of a part that is whole."""
        receipt = self._whole_parts[number]
        read = read_sealed if sealed_receipt(self.path, number) else read_table_of
        return {name: read(self.path, receipt, name, self.format) for name in TABLES}

    def keep_part(self, number: int) -> None:
        """Notes that a part stays as it is."""
        self.receipts[number] = self._whole_parts[number]

    def write_part(self, number: int, tables: Mapping[str, pa.Table], **figures: Any) -> None:
        """Writes a part beside its place, sealed."""
        with disk_errors(self.path):
            self.receipts[number] = seal_part(self.path, number, tables, self.format, **figures)
