"""What the rows of a part are made of: every completion, by a digest of what was asked.

Beside each part lies a compressed file, a line for each document. A run that goes on with other
settings asks anew, and finds here what was asked to the letter before. It is no part of the
tables: where a file is missing or damaged, the documents of that part are answered again.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nlp_pipeline.run_folder.files import disk_errors, write_atomically

ROOM = "_completions"
COMPLETIONS = "completions"
"""The name under which a document's completions lie among its rows."""

DIGEST = "request"
"""The field of a completion that says by a digest what was asked."""

Completions = Mapping[str, Mapping[str, Any]]


def completions_path(run: Path, part: int) -> Path:
    """Where the completions of a part lie."""
    return run / ROOM / f"part-{part:05}.gz"


def write_completions(
    run: Path, part: int, documents: Iterable[tuple[str, Sequence[Mapping[str, Any]]]]
) -> None:
    """Writes the completions of a part atomically; no file where there are none.

    Args:
        run: The run's folder.
        part: 0-based number of the part.
        documents: Each by its id; those without a completion have no line.
    """
    lines = [_line(name, completions) for name, completions in documents if completions]
    path = completions_path(run, part)
    with disk_errors(run):
        if not lines:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(exist_ok=True)
        # Without a time: the same completions are the same bytes.
        packed = gzip.compress(b"".join(lines), compresslevel=6, mtime=0)
        write_atomically(path, lambda temporary: _write(temporary, packed))


def read_completions(run: Path, part: int) -> dict[str, list[dict[str, Any]]]:
    """The completions of a part by document, as far as they are whole."""
    documents: dict[str, list[dict[str, Any]]] = {}
    try:
        lines = gzip.decompress(completions_path(run, part).read_bytes()).splitlines()
    except (OSError, EOFError, zlib.error):
        return {}
    for line in lines:
        checksum, _, payload = line.partition(b" ")
        if checksum == b"%08x" % zlib.crc32(payload):
            name, completions = json.loads(payload)
            documents[name] = completions
    return documents


def by_digest(completions: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Completions as a component looks for them."""
    return {
        completion[DIGEST]: {name: value for name, value in completion.items() if name != DIGEST}
        for completion in completions
    }


def _write(path: Path, packed: bytes) -> None:
    path.write_bytes(packed)


def _line(name: str, completions: Sequence[Mapping[str, Any]]) -> bytes:
    payload = json.dumps([name, list(completions)]).encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(payload), payload)
