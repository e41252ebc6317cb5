"""The process that converts documents to text: a request a line in, an answer a line out.

It is a process of its own because a document may be made to take all memory and all time, or to end
the library that reads it. `corpus.documents.conversion` starts it and ends it.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from nlp_pipeline.corpus.documents.document_text import LayoutText, laid_out
from nlp_pipeline.corpus.documents.html_text import html_layout
from nlp_pipeline.corpus.documents.markdown_text import markdown_layout
from nlp_pipeline.corpus.documents.page_letters import decoded_page

_TESSERACT = "tesseract"
_PAGES: dict[str, Callable[[str], LayoutText]] = {
    "text/html": html_layout,
    "text/markdown": markdown_layout,
}
"""Formats that are text already: the library says what they say of themselves."""
_SHOWN_BYTES = 64
_PASSWORD = ("password", "encrypted")


def converted(
    path: str | None, data: bytes, mime: str, recognition: str | None = None
) -> dict[str, Any]:
    """A document as text, with what is known of it and where its parts stand.

    Args:
        path: Of the file; None for `data`.
        data: The document, where it is no file.
        mime: Its type.
        recognition: The languages whose text is recognized on pages that have none; None for no
            recognition.

    Returns:
        `text`, `meta` and `layout`; or `problem`, `password` or `broken`, with `reason`.
    """
    import kreuzberg

    config = kreuzberg.ExtractionConfig(
        use_cache=False,
        disable_ocr=recognition is None,
        ocr=None if recognition is None else _tesseract(recognition),
        output_format="markdown",
        pages=kreuzberg.PageConfig(extract_pages=True),
        include_document_structure=True,
    )
    page = None
    try:
        if mime in _PAGES:
            page = _page(Path(path).read_bytes() if path else data, mime)
            result = kreuzberg.extract_bytes_sync(page.encode("utf-8"), mime, config=config)
        elif path is None:
            result = kreuzberg.extract_bytes_sync(data, mime, config=config)
        else:
            result = kreuzberg.extract_file_sync(path, mime, config=config)
        return laid_out(result, None if page is None else _PAGES[mime](page))
    except MemoryError:  # ends this process, of which the other one makes what it is
        raise
    except UnicodeDecodeError as error:
        start = error.object[error.start : error.start + _SHOWN_BYTES].hex()
        return {"problem": "encoding", "reason": "", "byte": error.start, "data": start}
    except Exception as error:  # whatever the library raises about a document
        return _problem(error)


def _page(data: bytes, mime: str) -> str:
    """The letters of a page; surrogates are none."""
    if mime == "text/html":
        return decoded_page(data).encode("utf-8", "replace").decode("utf-8")
    return data.decode("utf-8-sig")


def _tesseract(languages: str) -> Any:
    """Recognition by Tesseract alone; a page of lines is not to be taken for a table.

    The library would ask the others about a page on which that one reads nothing, and fetch their
    models for it.
    """
    import kreuzberg

    for backend in kreuzberg.list_ocr_backends():
        if backend != _TESSERACT:
            kreuzberg.unregister_ocr_backend(backend)
    settings = kreuzberg.TesseractConfig(
        language=languages, enable_table_detection=False, use_cache=False
    )
    return kreuzberg.OcrConfig(backend=_TESSERACT, language=languages, tesseract_config=settings)


def _problem(error: Exception) -> dict[str, Any]:
    reason = _reason(error)
    is_locked = any(word in reason.lower() for word in _PASSWORD)
    return {"problem": "password" if is_locked else "broken", "reason": reason}


def _reason(error: Exception) -> str:
    """What the library says, which names its own class and says it all twice."""
    reason = " ".join(str(error).split()).removeprefix(f"{type(error).__name__}: ")
    half = reason[: (len(reason) - 2) // 2]
    return half if reason == f"{half}: {half}" else reason


def _limit_memory(most_bytes: int) -> None:
    """Bounds the address space, of which the library reserves a gibibyte by itself."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def converted_with_layout(
    path: str | None, data: bytes, mime: str, models: str | None = None
) -> dict[str, Any]:
    """The same by docling, whose models are in a folder."""
    from nlp_pipeline.corpus.documents.docling_document import ConverterFailed, converted_by_docling

    try:
        return converted_by_docling(path, data, mime, models)
    except MemoryError:
        raise
    except ConverterFailed as error:
        return {"problem": "converter", "reason": _reason(error)}
    except Exception as error:  # whatever the library raises about a document
        return _problem(error)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Converts what each line asks for until there are no more."""
    for line in requests:
        request = json.loads(line)
        path, mime = request.get("path"), request["mime"]
        data = base64.b64decode(request.get("data") or "")
        try:
            if request.get("converter") == "docling":
                answer = converted_with_layout(path, data, mime, request.get("models"))
            else:
                answer = converted(path, data, mime, request.get("recognition"))
        except MemoryError:
            answer = {"problem": "memory", "reason": ""}
        answers.write(json.dumps(answer).encode("ascii") + b"\n")
        answers.flush()


def main() -> None:
    """Serves standard input; what a library prints goes to standard error.

    The one argument of the process is the most address space that it may take, in bytes.
    """
    _limit_memory(int(sys.argv[1]))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
