"""Documents that are no text yet: converted in their own process, once for a file and a run."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import zipfile
from contextlib import suppress
from hashlib import sha256
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from threading import Timer
from typing import Any

from nlp_pipeline.corpus.documents.conversion_settings import CONVERTERS, ConversionSettings
from nlp_pipeline.corpus.documents.docling_models import (
    OFFLINE,
    docling_models_folder,
    models_digest,
)
from nlp_pipeline.corpus.documents.tessdata import VARIABLE, tessdata_folder
from nlp_pipeline.errors.documents import (
    ConverterUnusable,
    DocumentBroken,
    DocumentEmpty,
    DocumentLocked,
    DocumentScanned,
    DocumentTooLarge,
    DocumentTooSlow,
)
from nlp_pipeline.errors.file_formats import InvalidUtf8
from nlp_pipeline.errors.records import Place

MIME_TYPES = {
    ".pdf": "application/pdf",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".html": "text/html",
    ".htm": "text/html",
    ".md": "text/markdown",
}
"""What is converted, by suffix."""
WORKER = ["-m", "nlp_pipeline.corpus.documents.conversion_worker"]
MOST_BYTES = 2**30
"""A file, or all that is packed in one, is no longer than this."""
MOST_RATIO = 200
"""Text packs to a tenth, a picture not at all; what packs better than this was made to."""
_HARMLESS_BYTES = 2**25
_EXTRAS = {"kreuzberg": "documents", "docling": "docling"}
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_ZIPPED = (".docx", ".pptx", ".xlsx")
_VERSION = 2
"""Of the way in which a text is put together; raised when it changes."""


def is_converter_installed(*names: str) -> bool:
    """Whether one of the libraries is there; of all of them where none is named."""
    return any(find_spec(name) is not None for name in names or CONVERTERS)


class Converter:
    """Converts documents, and remembers what they were converted to.

    Args:
        folder: Where it remembers; None forgets.
        settings: How it converts, and what a file may cost.

    Raises:
        RecognitionDataMissing: Text is to be recognized in a language that there is no data for.
    """

    def __init__(
        self, folder: Path | None = None, settings: ConversionSettings | None = None
    ) -> None:
        self._folder = folder
        self._settings = settings or ConversionSettings()
        self._tessdata = tessdata_folder(self._settings.recognition)
        self._models: tuple[Path, str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._problems: dict[str, dict[str, Any]] = {}

    @property
    def missing_extra(self) -> str:
        """The extra that has to be installed; nothing where the library is there."""
        name = self._settings.converter
        return "" if is_converter_installed(name) else _EXTRAS[name]

    def require_models(self) -> None:
        """Looks whether all is there that PDFs are converted by.

        Raises:
            DoclingModelsMissing: Models are needed, and are not there.
        """
        if self._settings.converter == "docling" and self._models is None:
            folder = docling_models_folder(self._settings.docling_models)
            self._models = folder, models_digest(folder)

    def convert(self, path: Path, place: Place) -> dict[str, Any]:
        """A file as `text`, `meta` and `layout`.

        Raises:
            BadRecord: One of those of `errors.documents`: there is no text to be had.
            CorpusError: The library or its models cannot be used.
        """
        mime = MIME_TYPES[path.suffix.lower()]
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise DocumentTooLarge(place, size, MOST_BYTES)
        if path.suffix.lower() in _ZIPPED:
            check_packed(path, place)
        key = f"{_digest(path)}-{path.suffix.lower()[1:]}"
        is_pdf = path.suffix.lower() == ".pdf"
        request = {"path": str(path.absolute()), "mime": mime}
        if is_pdf:
            self.require_models()
        if is_pdf and self._models is not None:
            request["models"] = str(self._models[0])
            key += f"-{self._models[1]}"
        if is_pdf and (language := self._settings.recognition):
            request["recognition"] = language
            key += f"-{language}"
        return self._once(key, request, place, is_pdf=is_pdf)

    def convert_html(self, data: bytes, place: Place) -> str:
        """The text of a page of HTML, such as the body of a mail.

        Raises:
            BadRecord: As in `convert`.
        """
        request = {"data": base64.b64encode(data).decode("ascii"), "mime": "text/html"}
        text: str = self._once(f"{sha256(data).hexdigest()}-html", request, place)["text"]
        return text

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _once(
        self, key: str, request: dict[str, str], place: Place, *, is_pdf: bool = False
    ) -> dict[str, Any]:
        """The answer of earlier, or the process's, which is remembered."""
        name = f"{key}-{_converter_mark(self._settings.converter)}.json"
        file = None if self._folder is None else self._folder / name
        answer = self._problems.get(key) or _remembered(file)
        if answer is None:
            answer = self._answer(request)
            if "problem" in answer:
                self._problems[key] = answer
            elif file is not None:
                _remember(file, answer)
        _check(answer, place, self._settings, is_pdf=is_pdf)
        return answer

    def _answer(self, request: dict[str, str]) -> dict[str, Any]:
        process = self._process = self._process or _worker(
            self._settings.memory_bytes, self._environment()
        )
        if self._settings.converter != "kreuzberg":
            request = {**request, "converter": self._settings.converter}
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None
        line = b""
        timer = Timer(self._settings.conversion_timeout, process.kill)
        timer.start()
        try:
            with suppress(BrokenPipeError):
                stdin.write(json.dumps(request).encode("utf-8") + b"\n")
                stdin.flush()
                line = stdout.readline()
        finally:
            in_time = timer.is_alive()
            timer.cancel()
        if line.endswith(b"\n"):
            answer: dict[str, Any] = json.loads(line)
            return answer
        self.close()
        return {"problem": "memory" if in_time else "time", "reason": ""}

    def _environment(self) -> dict[str, str]:
        """What the libraries of the process are told by its environment."""
        tessdata = {} if self._tessdata is None else {VARIABLE: str(self._tessdata)}
        return {**tessdata, **(OFFLINE if self._settings.converter == "docling" else {})}


def _worker(memory_bytes: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, *WORKER, str(memory_bytes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


def check_packed(path: Path, place: Place) -> None:
    """Looks at what a packed document says it unpacks to, before anything unpacks it.

    Raises:
        DocumentLocked: It is an OLE file, as a document with a password is.
        DocumentBroken: It is no archive.
        DocumentTooLarge: It unpacks to more than is read, or packs better than any document.
    """
    with path.open("rb") as stream:
        if stream.read(len(_OLE)) == _OLE:
            raise DocumentLocked(place)
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = [(info.file_size, info.compress_size) for info in archive.infolist()]
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise DocumentBroken(place, str(error)) from error
    unpacked, packed = (sum(column) for column in zip(*sizes, strict=True)) if sizes else (0, 0)
    if unpacked > MOST_BYTES or unpacked > max(_HARMLESS_BYTES, MOST_RATIO * packed):
        raise DocumentTooLarge(place, unpacked, MOST_BYTES)


def _check(
    answer: dict[str, Any], place: Place, settings: ConversionSettings, *, is_pdf: bool
) -> None:
    problem, reason = answer.get("problem"), str(answer.get("reason", ""))
    if problem == "password":
        raise DocumentLocked(place)
    if problem == "encoding":
        raise InvalidUtf8(place, answer["byte"], bytes.fromhex(answer["data"]))
    if problem == "converter":
        raise ConverterUnusable(settings.converter, reason)
    if problem == "time":
        raise DocumentTooSlow(place, settings.conversion_timeout)
    if problem is not None:
        memory = f"{settings.conversion_memory:g} GiB of memory (--conversion-memory)"
        raise DocumentBroken(place, reason or f"the converter ran out of its {memory}, or crashed")
    if not answer["text"].strip():
        pages = answer["meta"].get("pages")
        if is_pdf and pages:
            raise DocumentScanned(place, pages, settings.recognition)
        raise DocumentEmpty(place)


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()


def _converter_mark(name: str) -> str:
    """By what a text is known to come from the same version of the same library."""
    if name == "docling":
        return f"docling-{metadata.version('docling-slim')}-{_VERSION}"
    return f"{metadata.version(name)}-{_VERSION}"


def _remembered(file: Path | None) -> dict[str, Any] | None:
    try:
        answer = json.loads(file.read_bytes()) if file is not None else None
    except (OSError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None


def _remember(file: Path, answer: dict[str, Any]) -> None:
    """Writes a file that is whole or not there; a full disk loses only what is remembered."""
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(json.dumps(answer).encode("ascii"))
        temporary.replace(file)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
