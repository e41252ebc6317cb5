"""SHA-256 of model files, remembered, so that checking a model on every use costs a `stat`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path

from nlp_pipeline.errors.generation import CheckpointUnreadable
from nlp_pipeline.models.location import cache_dir

SUFFIXES = (
    ".bin",
    ".gguf",
    ".jinja",
    ".json",
    ".model",
    ".pt",
    ".pth",
    ".safetensors",
    ".tiktoken",
    ".txt",
)
"""Files of a model's folder that can change what it generates; a README cannot."""

SETTLED_NS = 2_000_000_000
"""A file changed less than this ago could change again without a change of its times."""

Stamp = tuple[int, int, int]


def digest(path: str | Path, *, thorough: bool = False) -> str:
    """The SHA-256 of a model file, or of a model folder's files and their names.

    The model's own folder is only read; what is remembered lies in the model cache.

    Args:
        path: A file, or a folder whose files (not its sub-folders) are taken.
        thorough: Read every byte, whatever is remembered: a failing disk leaves no other trace.

    Returns:
        64 hexadecimal digits.

    Raises:
        CheckpointUnreadable: There is nothing to read there.
    """
    path = Path(path).expanduser()
    if path.is_file():
        return _file_digest(path, thorough)
    files = file_digests(path, thorough=thorough)
    return hashlib.sha256(
        "".join(f"{name}\0{value}\n" for name, value in files.items()).encode()
    ).hexdigest()


def file_digests(folder: str | Path, *, thorough: bool = False) -> dict[str, str]:
    """File name to SHA-256 for the files of a model folder that can change what it generates.

    Args:
        folder: The model folder; its sub-folders are left out.
        thorough: Read every byte, whatever is remembered.

    Raises:
        CheckpointUnreadable: The folder is not there, cannot be read or holds no such file.
    """
    folder = Path(folder).expanduser()
    try:
        files = sorted(f for f in folder.iterdir() if f.suffix in SUFFIXES and f.is_file())
    except OSError as error:
        raise CheckpointUnreadable(str(folder), error.strerror or str(error)) from error
    if not files:
        raise CheckpointUnreadable(str(folder), "it has no model files")
    return {file.name: _file_digest(file, thorough) for file in files}


def _file_digest(file: Path, thorough: bool) -> str:
    """SHA-256 of one file; hashed again only when its size or one of its times has changed."""
    try:
        stamp = _stamp(file)
        remembered = None if thorough else recall(file, stamp)
        if remembered is not None:
            return remembered
        value = sha256(file)
        settled = time.time_ns() - stamp[1] > SETTLED_NS
        if settled and _stamp(file) == stamp:
            remember(file, stamp, value)
    except OSError as error:
        raise CheckpointUnreadable(str(file), error.strerror or str(error)) from error
    return value


def _stamp(file: Path) -> Stamp:
    """Size in bytes, time of modification and of status change in nanoseconds."""
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def sha256(file: Path) -> str:
    """SHA-256 of a file's bytes in hexadecimal; always reads them all."""
    value = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            value.update(chunk)
    return value.hexdigest()


def memo_path(file: Path) -> Path:
    """Where the digest of this file is remembered."""
    key = hashlib.sha256(os.path.realpath(file).encode("utf-8", "surrogateescape")).hexdigest()
    return cache_dir() / "digests" / f"{key[:32]}.json"


def recall(file: Path, stamp: Stamp) -> str | None:
    """The remembered digest, if the file has had these sizes and times ever since."""
    try:
        memo = json.loads(memo_path(file).read_bytes())
        return str(memo["sha256"]) if tuple(memo["stamp"]) == stamp else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(file: Path, stamp: Stamp, value: str) -> None:
    """Remembers a digest; a cache that cannot be written only means hashing again."""
    memo = {"path": os.path.realpath(file), "stamp": stamp, "sha256": value}
    target = memo_path(file)
    with contextlib.suppress(OSError, UnicodeEncodeError):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=target.parent, suffix=".tmp", encoding="utf-8", delete=False
        ) as stream:
            json.dump(memo, stream)
        os.replace(stream.name, target)
