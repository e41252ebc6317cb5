"""How documents that are no text are converted: the one list of what can be set about it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from nlp_pipeline.errors.documents import InvalidConversionSetting

GIBIBYTE = 2**30
_LANGUAGE = re.compile(r"[A-Za-z_]{2,20}([+][A-Za-z_]{2,20})*")
_LEAST_MEMORY, _MOST_MEMORY = 2.0, 1024.0
_MOST_SECONDS = 86_400.0
CONVERTERS = ("kreuzberg", "docling")
"""The libraries that convert."""


@dataclass(frozen=True, slots=True)
class ConversionSettings:
    """How a PDF, a Word file and the like become text.

    Attributes:
        ocr: Recognize the text of pages that have none, such as those of a scan, by Tesseract.
        ocr_language: The language or languages of such pages, as Tesseract calls them: `eng`,
            `deu+fra`.
        conversion_timeout: Seconds that the conversion of a file may take.
        conversion_memory: GiB of address space that the conversion of a file may take; the
            converter reserves one by itself.
        converter: The library that converts: `kreuzberg`, which needs no models, or `docling`,
            which tells by models of yours how the pages of a PDF are laid out.
        docling_models: The folder that `docling-tools models download` has filled. By default the
            one that `DOCLING_ARTIFACTS_PATH` names, else docling's own.

    Raises:
        InvalidConversionSetting: A value is of the wrong type or out of its range.
    """

    ocr: bool = False
    ocr_language: str = "eng"
    conversion_timeout: float = 120.0
    conversion_memory: float = 6.0
    converter: str = "kreuzberg"
    docling_models: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.ocr_language, str) or not _LANGUAGE.fullmatch(self.ocr_language):
            allowed = "a language of Tesseract, such as eng, or several: deu+fra"
            raise InvalidConversionSetting("ocr_language", self.ocr_language, allowed)
        seconds, memory = self.conversion_timeout, self.conversion_memory
        if not (_is_number(seconds) and 0 < seconds <= _MOST_SECONDS):
            allowed = f"a number of seconds above 0, at most {_MOST_SECONDS:g}"
            raise InvalidConversionSetting("conversion_timeout", seconds, allowed)
        if not (_is_number(memory) and _LEAST_MEMORY <= memory <= _MOST_MEMORY):
            allowed = f"a number of GiB from {_LEAST_MEMORY:g} to {_MOST_MEMORY:g}"
            raise InvalidConversionSetting("conversion_memory", memory, allowed)
        if self.converter not in CONVERTERS:
            raise InvalidConversionSetting("converter", self.converter, " or ".join(CONVERTERS))
        if self.ocr and self.converter != "kreuzberg":
            allowed = "kreuzberg where text is to be recognized (--ocr)"
            raise InvalidConversionSetting("converter", self.converter, allowed)

    @property
    def memory_bytes(self) -> int:
        """The limit of address space in bytes."""
        return int(self.conversion_memory * GIBIBYTE)

    @property
    def recognition(self) -> str | None:
        """The languages whose text is recognized in pictures; None where none is."""
        return self.ocr_language if self.ocr else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
