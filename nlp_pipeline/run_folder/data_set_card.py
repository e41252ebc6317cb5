"""The card that makes a run's folder a Hugging Face data set: `load_dataset("RUN", "answers")`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nlp_pipeline.run_folder.files import Format, write_text

CARD = "README.md"
_MARK = "# Written by nlp-pipeline; a card of your own in its place stays."
_KINDS = {"parquet": "Parquet", "csv": "CSV", "jsonl": "JSON Lines"}


def card(format_: Format, rows: Mapping[str, int]) -> str:
    """The text of a card: a configuration for each table, `documents` being the default.

    Args:
        format_: Of the tables' files.
        rows: Rows of each table. Of CSV and JSON Lines an empty table is left out: such a file has
            no columns that could be loaded.
    """
    tables = [name for name, count in rows.items() if count or format_ == "parquet"]
    configs = "".join(
        f"- config_name: {name}\n  data_files: {name}/part-*.{format_}\n"
        + ("  default: true\n" if name == "documents" else "")
        for name in tables
    )
    listing = "".join(f"| `{name}` | {rows[name]:,} |\n" for name in tables)
    return (
        f"---\n{_MARK}\nconfigs:\n{configs}tags:\n- nlp-pipeline\n---\n\n"
        "# Tables of a run\n\n"
        f"`document_id` joins the tables; their files are {_KINDS[format_]}.\n\n"
        f"| table | rows |\n|---|---|\n{listing}"
    )


def write_card(run: Path, format_: Format, rows: Mapping[str, int]) -> None:
    """Writes the card of a run, unless somebody has put one of their own in its place."""
    file = run / CARD
    if is_ours(file) or not file.exists():
        write_text(file, card(format_, rows))


def is_ours(file: Path) -> bool:
    """Whether a card is one that a run has written."""
    try:
        return _MARK in file.read_text(encoding="utf-8")[:200]
    except (OSError, ValueError):
        return False
