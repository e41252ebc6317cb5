"""The process that converts documents to text: a request a line in, an answer a line out.

It is a process of its own because a document may be made to take all memory and all time, or to end
the library that reads it. `corpus.conversion` starts it and ends it.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from typing import Any, BinaryIO

from nlp_pipeline.corpus.document_text import laid_out

MEMORY_BYTES = 6 * 2**30
"""The most address space of the process; the library reserves one of these gibibytes by itself."""
_PASSWORD = ("password", "encrypted")


def converted(path: str | None, data: bytes, mime: str) -> dict[str, Any]:
    """A document as text, with what is known of it and where its parts stand.

    Args:
        path: Of the file; None for `data`.
        data: The document, where it is no file.
        mime: Its type.

    Returns:
        `text`, `meta` and `layout`; or `problem`, `password` or `broken`, with `reason`.
    """
    import kreuzberg

    config = kreuzberg.ExtractionConfig(
        use_cache=False,
        disable_ocr=True,
        output_format="markdown",
        pages=kreuzberg.PageConfig(extract_pages=True),
        include_document_structure=True,
    )
    try:
        if path is None:
            result = kreuzberg.extract_bytes_sync(data, mime, config=config)
        else:
            result = kreuzberg.extract_file_sync(path, mime, config=config)
    except Exception as error:  # whatever the library raises about a document
        reason = _reason(error)
        is_locked = any(word in reason.lower() for word in _PASSWORD)
        return {"problem": "password" if is_locked else "broken", "reason": reason}
    return laid_out(result, is_html=mime == "text/html")


def _reason(error: Exception) -> str:
    """What the library says, which names its own class and says it all twice."""
    reason = " ".join(str(error).split()).removeprefix(f"{type(error).__name__}: ")
    half = reason[: (len(reason) - 2) // 2]
    return half if reason == f"{half}: {half}" else reason


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Converts what each line asks for until there are no more."""
    for line in requests:
        request = json.loads(line)
        data = base64.b64decode(request.get("data") or "")
        try:
            answer = converted(request.get("path"), data, request["mime"])
        except MemoryError:
            answer = {"problem": "memory", "reason": ""}
        answers.write(json.dumps(answer).encode("ascii") + b"\n")
        answers.flush()


def main() -> None:
    """Serves standard input; what a library prints goes to standard error."""
    _limit_memory()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
