"""What a URL stands for: a file, a folder or a pattern of a store, as they are on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from nlp_pipeline.corpus.corpus_file import (
    CACHES,
    FORMATS,
    MANIFEST,
    RECEIPTS,
    UNSEEN,
    CorpusFile,
    Sources,
    clean_name,
    file_format,
    file_stem,
    sort_out,
)
from nlp_pipeline.corpus.remote_store import RemoteFile, RemoteStore
from nlp_pipeline.errors.corpus import (
    CorpusIsARun,
    CorpusNotFound,
    PatternMatchesNothing,
    UnsupportedCorpus,
)

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|[A-Za-z][A-Za-z0-9+._-]+::")
_MAGIC = re.compile(r"[*\[]")
"""A `?` begins the query of a web address, so it stands for no letter."""
_MEDIA_TYPES = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/pdf": ".pdf",
    "text/plain": ".txt",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "text/markdown": ".md",
    "application/json": ".json",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
}
"""What a page of the web is whose address has no suffix that says it."""


def is_url(source: str | Path) -> bool:
    """Whether a source is named by a URL; a data set of a hub is no file."""
    return isinstance(source, str) and bool(_URL.match(source)) and not source.startswith("hf://")


def url_stem(url: str) -> str:
    """The name of the last part of a URL, without its suffixes."""
    name = _path_of(url).name
    return file_stem(PurePosixPath(name)) or urlsplit(url).netloc


def remote_sources(url: str, store: RemoteStore) -> Sources:
    """The files behind a URL, in reading order.

    Raises:
        CorpusError: The store cannot be read, or there is nothing to read; as `find_sources`.
    """

    def listed(filesystem: Any, path: str) -> Sources:
        is_pattern = bool(_MAGIC.search(path))
        if is_pattern:
            entries = filesystem.glob(path, detail=True)
        else:
            facts = filesystem.info(path)
            if facts.get("type") != "directory":
                return Sources((_file(url, RemoteFile(path, facts), filesystem, store),))
            entries = filesystem.find(path, detail=True)
        # A name with a slash at its end is how buckets mark an empty folder.
        files = {
            p: f for p, f in entries.items() if f.get("type") != "directory" and not p.endswith("/")
        }
        if not files:
            raise PatternMatchesNothing(url) if is_pattern else CorpusNotFound(url)
        root = _fixed(path) if is_pattern else path.rstrip("/")
        return _folder(url, root, files, filesystem, store, is_pattern=is_pattern)

    listing: Sources = store.listing(url, listed)
    return listing


def _folder(
    url: str,
    root: str,
    files: Mapping[str, Mapping[str, Any]],
    filesystem: Any,
    store: RemoteStore,
    *,
    is_pattern: bool,
) -> Sources:
    """The files of a folder, or those that a pattern names, by their paths there."""
    above = _fixed(url) if is_pattern else url.rstrip("/")
    by_path: dict[PurePath, str] = {
        PurePosixPath(path.removeprefix(root).lstrip("/")): path for path in files
    }
    paths = sorted(by_path, key=lambda path: path.parts)
    listing = Sources((), is_folder=True)
    if is_pattern:
        for path in paths:
            if file_format(path) is None:
                raise UnsupportedCorpus(f"{above}/{path}", FORMATS)
    else:
        left_out: dict[str, None] = {}
        documents = _documents(url, list(by_path), left_out)
        paths, listing = sort_out(url, documents, left_out)
    return replace(
        listing,
        files=tuple(
            replace(
                _file(
                    f"{above}/{path}",
                    RemoteFile(by_path[path], files[by_path[path]]),
                    filesystem,
                    store,
                ),
                name=clean_name(path.as_posix()),
            )
            for path in paths
        ),
    )


def _documents(url: str, paths: list[PurePath], left_out: dict[str, None]) -> list[PurePath]:
    """The files of a folder, but for those of hidden folders, of caches and of runs.

    Raises:
        CorpusIsARun: The folder itself is a run's.
    """
    folders = {parent for path in paths for parent in path.parents}
    names = {*paths}
    runs = {f for f in folders if f / MANIFEST in names and f / RECEIPTS in folders}
    if PurePosixPath() in runs:
        raise CorpusIsARun(url)
    documents = []
    for path in sorted(paths, key=lambda path: path.parts):
        reasons = [
            (parent, reason)
            for parent in reversed(path.parents[:-1])
            if (reason := _why_left_out(parent, runs))
        ]
        if reasons:
            left_out[f"{clean_name(reasons[0][0].as_posix())} ({reasons[0][1]})"] = None
        elif not path.name.startswith(UNSEEN):
            documents.append(path)
    return documents


def _why_left_out(folder: PurePath, runs: set[PurePath]) -> str:
    if folder.name.startswith("."):
        return "hidden"
    if folder.name in CACHES:
        return "a cache"
    return "a run" if folder in runs else ""


def _file(url: str, file: RemoteFile, filesystem: Any, store: RemoteStore) -> CorpusFile:
    """A file of a store by the suffixes of its name, or by what a web server says that it is.

    Raises:
        UnsupportedCorpus: It has none that are read.
    """
    path = _path_of(url)
    kind = file_format(path)
    suffixes = "".join(path.suffixes[-2:]) if kind and kind[1] else path.suffix
    if kind is None:
        suffixes = _MEDIA_TYPES.get(str(file.facts.get("mimetype", "")), "")
        kind = file_format(PurePosixPath(f"x{suffixes}"))
    if kind is None:
        raise UnsupportedCorpus(url, FORMATS)
    format, compression = kind
    return CorpusFile(
        store.copy(filesystem, file, url, suffixes.lower()),
        clean_name(url),
        clean_name(url_stem(url)),
        format=format,
        compression=compression,
    )


def _path_of(url: str) -> PurePosixPath:
    """The path in a URL; only a web address has a query behind it, and letters as numbers."""
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return PurePosixPath(unquote(parts.path))
    return PurePosixPath(url.partition("://")[2])


def _fixed(path: str) -> str:
    """The folder above all that a pattern can name."""
    return path[: _MAGIC.search(path).start()].rpartition("/")[0]  # type: ignore[union-attr]
