"""What a source stands for: the files behind it, in order, and the name each gives its records."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from glob import glob, has_magic
from importlib.util import find_spec
from itertools import takewhile
from pathlib import Path

import orjson

from nlp_pipeline.corpus.conversion import MIME_TYPES, is_converter_installed
from nlp_pipeline.corpus.streams import require_zstd
from nlp_pipeline.errors.corpus import (
    CorpusIsARun,
    CorpusNotAFile,
    CorpusNotFound,
    CorpusNotReadable,
    EmptyCorpusFolder,
    UnsupportedCorpus,
)

STDIN = "-"
MEMORY = "records"
"""How messages and tables name records that a program has given."""
FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".xlsx": "xlsx",
    ".txt": "text",
    ".parquet": "parquet",
    ".json": "squad",
    ".conllu": "conllu",
    ".eml": "eml",
    ".mbox": "mbox",
    **dict.fromkeys((".sqlite", ".sqlite3", ".db", ".duckdb"), "database"),
    **dict.fromkeys(MIME_TYPES, "document"),
}
COMPRESSIONS = (".gz", ".zst")
UNCOMPRESSED = ("parquet", "database", "xlsx", "document", "eml", "mbox")
"""Formats that are read from where they lie, not as a stream."""
WHOLE_FILE = ("text", "document", "eml")
"""Formats of which a file is one document."""

MANIFEST = "manifest.json"
"""The file that makes a folder a run's."""
RECEIPTS = "_receipts"
"""The folder in it that says which parts are done."""
_MAX_MANIFEST = 2**24
"""Bytes; a larger one without receipts beside it is something else."""
CACHES = ("__pycache__", "node_modules", "__MACOSX")
CACHE_TAG = "CACHEDIR.TAG"
"""The file by which programs mark a folder as a cache (bford.info/cachedir)."""

README = "readme.md"
"""Says what a folder is; in one it is no document of its own."""
_BY_NAME_ONLY = ("squad", "database")
"""Of the .json files in a folder hardly one is a corpus, and a database needs a query: such a file
has to be named."""


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """One file of a corpus.

    Attributes:
        path: Where it is; `None` is standard input.
        source: How messages and tables name it: as the user did.
        name: What the ids of its records start with: in a folder its path there, whatever else
            lies beside it; else its stem.
        format: A name of `READERS`.
        compression: `".gz"`, `".zst"` or `""`.
    """

    path: Path | None
    source: str
    name: str
    format: str
    compression: str = ""

    def id_at(self, line: int) -> str:
        """The id of a record without its own: a text file is one document and needs no line."""
        return self.name if self.format in WHOLE_FILE else f"{self.name}:{line}"


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of a corpus, and what of its folder is none of it.

    Attributes:
        files: In reading order.
        passed_over: Files that no reader knows.
        left_out: Folders that are not looked into, each with the reason.
        is_folder: Whether the corpus is a folder.
        unread: Files that a package would read which is not installed, by its extra.
    """

    files: tuple[CorpusFile, ...]
    passed_over: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    is_folder: bool = False
    unread: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def find_sources(
    source: str | Path, stdin: Path | None = None, named_by_stem: Collection[str] = ()
) -> Sources:
    """The files behind what the user named.

    Args:
        source: A file, a folder, a pattern such as `notes/**/*.pdf`, or `"-"` for JSON Lines on
            standard input.
        stdin: A file that holds what came on standard input, or the records that a program has
            given (`corpus.memory_records`); read in its place.
        named_by_stem: Paths within a folder whose files keep the names that a run of before gave
            them (`stem_names`).

    Returns:
        The files in reading order; a folder's are sorted by path, hidden ones left out.

    Raises:
        CorpusError: The source cannot be read at all; every subclass says why.
    """
    if str(source) == STDIN:
        return Sources((CorpusFile(stdin, STDIN, "stdin", format="jsonl"),))
    if stdin is not None:
        return Sources((CorpusFile(stdin, str(source), "record", format="records"),))
    path = Path(source)
    if path.is_dir():
        listing = _folder(path, named_by_stem)
    elif path.exists():
        listing = Sources((_single(path),))
    elif has_magic(str(source)):
        listing = _pattern(str(source), named_by_stem)
    else:
        raise CorpusNotFound(str(source))
    for file in listing.files:
        if file.compression == ".zst":
            require_zstd(file.source)
    return listing


def source_files(source: str | Path) -> list[Path]:
    """The files that `read_corpus` reads, in its order; none for standard input.

    Args:
        source: As in `read_corpus`.

    Raises:
        CorpusError: As in `read_corpus`.
    """
    return [file.path for file in find_sources(source).files if file.path is not None]


def _single(path: Path) -> CorpusFile:
    kind = _format(path)
    if kind is None:
        raise UnsupportedCorpus(str(path), FORMATS)
    if not path.is_file():
        raise CorpusNotAFile(str(path))
    try:
        path.open("rb").close()
    except OSError as error:
        raise CorpusNotReadable(str(path), error.strerror or str(error)) from error
    format, compression = kind
    return CorpusFile(
        path, _clean(str(path)), _clean(_stem(path)), format=format, compression=compression
    )


def _folder(root: Path, named_by_stem: Collection[str]) -> Sources:
    readable: list[Path] = []
    other_files: list[str] = []
    left_out: list[str] = []
    unread: dict[str, tuple[str, ...]] = {}
    for path in sorted(_walk(root, left_out), key=lambda path: path.relative_to(root).parts):
        kind = _format(path)
        name = _clean(path.relative_to(root).as_posix())
        if not kind or kind[0] in _BY_NAME_ONLY or path.name.lower() == README:
            other_files.append(name)
        elif extra := _missing_extra(kind[0]):
            unread[extra] = (*unread.get(extra, ()), name)
        else:
            readable.append(path)
    if not readable:
        looked = [suffix for suffix, format in FORMATS.items() if format not in _BY_NAME_ONLY]
        raise EmptyCorpusFolder(
            str(root),
            looked,
            [*other_files, *(name for names in unread.values() for name in names), *left_out],
        )
    files = _files_in(root, readable, named_by_stem)
    return Sources(
        files, tuple(other_files), tuple(sorted(left_out)), is_folder=True, unread=unread
    )


def _pattern(pattern: str, named_by_stem: Collection[str]) -> Sources:
    """The files that a pattern names, as those of the folder that is above them all.

    Raises:
        CorpusNotFound: It names none.
        UnsupportedCorpus: It names one that no reader knows: that is a mistake, not a find.
    """
    fixed = list(takewhile(lambda part: not has_magic(part), Path(pattern).parts))
    root = Path(*fixed)
    paths = sorted(
        (path for name in glob(pattern, recursive=True) if (path := Path(name)).is_file()),
        key=lambda path: path.relative_to(root).parts,
    )
    if not paths:
        raise CorpusNotFound(pattern)
    for path in paths:
        if _format(path) is None:
            raise UnsupportedCorpus(str(path), FORMATS)
    return Sources(_files_in(root, paths, named_by_stem), is_folder=True)


def _files_in(
    root: Path, paths: Iterable[Path], named_by_stem: Collection[str]
) -> tuple[CorpusFile, ...]:
    """Files with the names that they have in their folder."""
    stems = stem_names(named_by_stem)
    return tuple(
        CorpusFile(
            path,
            _clean(str(path)),
            stems.get(name, name),
            format=format,
            compression=compression,
        )
        for path in paths
        for name in [_clean(path.relative_to(root).as_posix())]
        for format, compression in [_format(path) or ("", "")]
    )


def _missing_extra(format: str) -> str:
    """The extra that reads a format and is not installed; nothing where it can be read."""
    if format == "document" and not is_converter_installed():
        return "documents"
    return "xlsx" if format == "xlsx" and find_spec("openpyxl") is None else ""


def _walk(root: Path, left_out: list[str]) -> Iterator[Path]:
    """The files of a folder and its folders, but for those that hold no documents.

    Raises:
        CorpusIsARun: The folder itself is a run's.
    """
    if is_run_folder(root):
        raise CorpusIsARun(str(root))
    for folder, folders, names in os.walk(root):
        reasons = {name: reason for name in folders if (reason := _why_left_out(folder, name))}
        for name, reason in reasons.items():
            relative = Path(folder, name).relative_to(root).as_posix()
            left_out.append(f"{_clean(relative)} ({reason})")
        folders[:] = [name for name in folders if name not in reasons]
        for name in names:
            path = Path(folder, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _why_left_out(folder: str, name: str) -> str:
    """Why a folder is no part of a corpus; nothing where it is one."""
    path = Path(folder, name)
    if name.startswith("."):
        return "hidden"
    if name in CACHES or (path / CACHE_TAG).is_file():
        return "a cache"
    return "a run" if is_run_folder(path) else ""


def is_run_folder(path: Path) -> bool:
    """Whether a folder holds a run of ours, whatever became of it: its manifest says so.

    What a run has written is no corpus: else the second run over a folder would read the tables
    of the first as documents.
    """
    file = path / MANIFEST
    if not file.is_file():
        return False
    if (path / RECEIPTS).is_dir():
        return True
    try:
        manifest = orjson.loads(file.read_bytes() if file.stat().st_size <= _MAX_MANIFEST else b"")
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and isinstance(manifest.get("fingerprint"), dict)


def stem_names(paths: Collection[str]) -> dict[str, str]:
    """Paths within a folder to the names that their files had up to version 0.1.

    That was the shortest of stem, path without and path with suffix that no other file of the
    folder had: a file that came later could change the names of those that were there.

    Args:
        paths: All files that a run read then.
    """
    stems = {path: _stem(Path(path)) for path in paths}
    shorter = {path: Path(path).with_name(stem).as_posix() for path, stem in stems.items()}
    counts = [Counter(names.values()) for names in (stems, shorter)]
    return {
        path: stems[path]
        if counts[0][stems[path]] == 1
        else shorter[path]
        if counts[1][shorter[path]] == 1
        else path
        for path in paths
    }


def _format(path: Path) -> tuple[str, str] | None:
    """Format and compression by the suffixes, or nothing where they are not known."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSIONS else ""
    kind = FORMATS.get(suffixes[-1]) if suffixes else None
    if kind is None or (compression and kind in UNCOMPRESSED):
        return None
    return kind, compression


def _stem(path: Path) -> str:
    stem = path.stem
    return Path(stem).stem if path.suffix.lower() in COMPRESSIONS else stem


def _clean(name: str) -> str:
    """A file name as text: bytes that are no UTF-8 become U+FFFD, as tables hold only text."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
