"""A file of a corpus: where it lies, what its name says, and which files of a folder are one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path, PurePath

from nlp_pipeline.corpus.documents.conversion import MIME_TYPES, is_converter_installed
from nlp_pipeline.corpus.remote_copy import RemoteCopy
from nlp_pipeline.errors.corpus import EmptyCorpusFolder

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

README = "readme.md"
"""Says what a folder is; in one it is no document of its own."""
MANIFEST = "manifest.json"
"""The file that makes a folder a run's."""
RECEIPTS = "_receipts"
"""The folder in it that says which parts are done."""
UNSEEN = (".", "~$")
"""How the names of files begin that are no documents: of hidden ones, and of the locks that offices
lay beside a file that is open."""

CACHES = ("__pycache__", "node_modules", "__MACOSX")
_BY_NAME_ONLY = ("squad", "database")
"""Of the .json files in a folder hardly one is a corpus, and a database needs a query: such a file
has to be named."""


@dataclass(frozen=True, slots=True)
class CorpusFile:
    """One file of a corpus.

    Attributes:
        path: Where it is, here or in a store; `None` is standard input.
        source: How messages and tables name it: as the user did.
        name: What the ids of its records start with: in a folder its path there, whatever else
            lies beside it; else its stem.
        format: A name of `READERS`.
        compression: `".gz"`, `".zst"` or `""`.
    """

    path: Path | RemoteCopy | None
    source: str
    name: str
    format: str
    compression: str = ""

    def id_at(self, line: int) -> str:
        """The id of a record without its own: a text file is one document and needs no line."""
        return self.name if self.format in WHOLE_FILE else f"{self.name}:{line}"

    @property
    def is_pdf(self) -> bool:
        """Whether it is laid out in pages, and what it says has to be told from how it looks."""
        return self.format == "document" and self.source.lower().endswith(".pdf")

    def local_path(self) -> Path:
        """Where the whole file lies on this machine, fetched where it did not.

        Raises:
            CorpusError: The store does not give it.
        """
        assert self.path is not None
        return self.path.whole() if isinstance(self.path, RemoteCopy) else self.path


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

    def with_others(self, others: Sources) -> Sources:
        """These and those of another source, which is read after them."""
        extras = {*self.unread, *others.unread}
        return Sources(
            (*self.files, *others.files),
            (*self.passed_over, *others.passed_over),
            (*self.left_out, *others.left_out),
            is_folder=True,
            unread={e: (*self.unread.get(e, ()), *others.unread.get(e, ())) for e in extras},
        )


def sort_out(
    root: str, paths: Iterable[PurePath], left_out: Iterable[str]
) -> tuple[list[PurePath], Sources]:
    """Which files of a folder are documents, and what is said of the others.

    Args:
        root: The folder, for messages.
        paths: Of its files, relative to it, in reading order.
        left_out: Folders that were not looked into, each with the reason.

    Returns:
        The paths of those that are read; and a listing without files that names the others.

    Raises:
        EmptyCorpusFolder: None is read.
    """
    readable: list[PurePath] = []
    other_files: list[str] = []
    unread: dict[str, tuple[str, ...]] = {}
    for path in paths:
        kind = file_format(path)
        name = clean_name(path.as_posix())
        if not kind or kind[0] in _BY_NAME_ONLY or path.name.lower() == README:
            other_files.append(name)
        elif extra := _missing_extra(kind[0]):
            unread[extra] = (*unread.get(extra, ()), name)
        else:
            readable.append(path)
    left_out = tuple(sorted(left_out))
    if not readable:
        looked = [suffix for suffix, format in FORMATS.items() if format not in _BY_NAME_ONLY]
        missing = [name for names in unread.values() for name in names]
        others = [*other_files, *missing, *left_out]
        raise EmptyCorpusFolder(root, looked, others, missing_extras=unread)
    return readable, Sources((), tuple(other_files), left_out, is_folder=True, unread=unread)


def _missing_extra(format: str) -> str:
    """The extra that reads a format and is not installed; nothing where it can be read."""
    if format == "document" and not is_converter_installed():
        return "documents"
    return "xlsx" if format == "xlsx" and find_spec("openpyxl") is None else ""


def file_format(path: PurePath) -> tuple[str, str] | None:
    """Format and compression by the suffixes, or nothing where they are not known."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = suffixes.pop() if suffixes and suffixes[-1] in COMPRESSIONS else ""
    kind = FORMATS.get(suffixes[-1]) if suffixes else None
    if kind is None or (compression and kind in UNCOMPRESSED):
        return None
    return kind, compression


def file_stem(path: PurePath) -> str:
    """The name of a file without its suffix, and without that of its compression."""
    stem = path.stem
    return PurePath(stem).stem if path.suffix.lower() in COMPRESSIONS else stem


def clean_name(name: str) -> str:
    """A file name as text: bytes that are no UTF-8 become U+FFFD, as tables hold only text."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
