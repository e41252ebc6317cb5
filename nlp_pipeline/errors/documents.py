"""Errors of documents that have to be converted: each costs its own document alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nlp_pipeline.errors.base import counted, listing
from nlp_pipeline.errors.corpus import CorpusError
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.packages import pip_install
from nlp_pipeline.errors.records import BadRecord, Place


class ReaderNotInstalled(CorpusError):
    """A document that needs a package."""

    def __init__(self, source: str, extra: str) -> None:
        super().__init__(
            f"Reading {escaped(source, 300)} needs a package that is not installed: type "
            f"`{pip_install(extra)}`."
        )


class InvalidConversionSetting(CorpusError):
    """A setting of the conversion of the wrong type or out of its range."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        typed = name.replace("_", "-")
        super().__init__(f"--{typed} is {escaped(repr(value), 60)} and must be {allowed}.")


class RecognitionDataMissing(CorpusError):
    """Text is to be recognized, and Tesseract's data for a language is not there."""

    def __init__(self, languages: Sequence[str], folders: Iterable[object]) -> None:
        names = ", ".join(f"{name}.traineddata" for name in languages)
        packages = " ".join(f"tesseract-ocr-{name.replace('_', '-')}" for name in languages)
        super().__init__(
            f"--ocr needs Tesseract's data {names}, which is in none of: {listing(folders)}. "
            f"Install it, on Debian or Ubuntu by `apt-get install {packages}`, or name the folder "
            "that holds it in the environment variable TESSDATA_PREFIX."
        )


class DoclingModelsMissing(CorpusError):
    """PDFs are to be converted by docling, and its models are not on this machine."""

    def __init__(self, folder: object, names: Sequence[str]) -> None:
        super().__init__(
            f"--converter docling reads a PDF by models that are not in "
            f"'{escaped(str(folder), 300)}': {listing(names)}. They are a download of some 0.5 GB, "
            f"which nothing here begins by itself: type `docling-tools models download "
            f"{' '.join(names)}`, and name another folder with --docling-models. Leave out "
            "--converter to convert without models."
        )


class ConverterUnusable(CorpusError):
    """The library that converts, or its models, cannot be loaded."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"--converter {name} cannot be used: {escaped(reason, 300).rstrip('.')}. Install what "
            f"it needs with `{pip_install(name)}`, or leave out --converter."
        )


class MailOfHtml(BadRecord):
    """A mail without plain text, where nothing converts the other."""

    def __init__(self, place: Place, extra: str = "documents") -> None:
        super().__init__(
            f"{_file(place)} is a mail in HTML alone, and the package that converts it is not "
            f"installed. Type `{pip_install(extra)}`."
        )


class DocumentLocked(BadRecord):
    """A document with a password."""

    def __init__(self, place: Place) -> None:
        super().__init__(
            f"{_file(place)} is protected by a password, or of an older Office format. Save it "
            "without one, as .docx, .pptx, .xlsx or .pdf."
        )


class DocumentBroken(BadRecord):
    """A document that the converter cannot read."""

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(
            f"{_file(place)} cannot be converted: {escaped(reason, 160).rstrip('.')}. Check that "
            "the file is whole and that its suffix is right."
        )


class DocumentTooLarge(BadRecord):
    """A document that is or unpacks to more than is read."""

    def __init__(self, place: Place, size: int, limit: int) -> None:
        super().__init__(
            f"{_file(place)} unpacks to {size:,} bytes. At most {limit:,} are read, and not where "
            "they pack so well that they are no document. Split it, or take out what is no text."
        )


class DocumentTooSlow(BadRecord):
    """A document whose conversion takes too long."""

    def __init__(self, place: Place, seconds: float) -> None:
        super().__init__(
            f"{_file(place)} was not converted in {seconds:g} seconds, and its process was ended. "
            "Give it longer with --conversion-timeout, split it, or convert it to text beforehand."
        )


class DocumentScanned(BadRecord):
    """A PDF of pictures."""

    def __init__(self, place: Place, pages: int, language: str | None = None) -> None:
        advice = "Have its text recognized by --ocr, or beforehand, such as by `ocrmypdf`."
        if language is not None:
            advice = (
                f"Nothing was recognized in its pictures as '{language}'. Say with --ocr-language "
                "what it is written in, or leave it out."
            )
        super().__init__(
            f"{_file(place)} has {counted(pages, 'page')} and no text: it is a scan, or drawn. "
            f"{advice}"
        )


class DocumentEmpty(BadRecord):
    """A document in which there is no text."""

    def __init__(self, place: Place) -> None:
        super().__init__(
            f"{_file(place)} has no text: nothing is left of it when it is converted. Leave it out."
        )


def _file(place: Place) -> str:
    return str(place).removesuffix(f":{place.line}") if place.line == 1 else str(place)
