"""Where Tesseract's data lies: the converter brings Tesseract itself, and no data."""

from __future__ import annotations

import os
from pathlib import Path

from nlp_pipeline.errors.documents import RecognitionDataMissing

VARIABLE = "TESSDATA_PREFIX"
"""Tesseract's own environment variable."""
SYSTEM_FOLDERS = (
    "/usr/share/tesseract-ocr/5/tessdata",
    "/usr/share/tesseract-ocr/4.00/tessdata",
    "/usr/share/tessdata",
    "/usr/local/share/tessdata",
    "/opt/homebrew/share/tessdata",
)
"""Where the packages of the systems put it."""


def tessdata_folder(languages: str | None) -> Path | None:
    """The folder that holds the data of all languages; None where none is wanted.

    Args:
        languages: As Tesseract has them: `eng`, `deu+fra`.

    Raises:
        RecognitionDataMissing: There is no such folder.
    """
    if languages is None:
        return None
    names = languages.split("+")
    prefix = os.environ.get(VARIABLE)
    folders = [Path(prefix), Path(prefix) / "tessdata"] if prefix else []
    folders += map(Path, SYSTEM_FOLDERS)
    for folder in folders:
        if all((folder / f"{name}.traineddata").is_file() for name in names):
            return folder
    absent = [n for n in names if not any((f / f"{n}.traineddata").is_file() for f in folders)]
    raise RecognitionDataMissing(absent or names, folders)
