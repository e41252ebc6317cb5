"""What a source stands for: the files behind it, in order, and the name each gives its records."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from glob import glob, has_magic
from itertools import takewhile
from pathlib import Path, PurePath
from typing import Any

import orjson

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
from nlp_pipeline.corpus.data_set import is_data_set
from nlp_pipeline.corpus.remote_sources import is_url, remote_sources
from nlp_pipeline.corpus.remote_store import RemoteStore
from nlp_pipeline.corpus.streams import require_zstd
from nlp_pipeline.errors.corpus import (
    CorpusIsARun,
    CorpusNotAFile,
    CorpusNotFound,
    CorpusNotReadable,
    PatternMatchesNothing,
    UnsupportedCorpus,
)
from nlp_pipeline.errors.stores import SourceStandsAlone

STDIN = "-"
MEMORY = "records"
"""How messages and tables name records that a program has given."""
_MAX_MANIFEST = 2**24
"""Bytes; a larger one without receipts beside it is something else."""
CACHE_TAG = "CACHEDIR.TAG"
"""The file by which programs mark a folder as a cache (bford.info/cachedir)."""


def find_sources(
    source: str | Path,
    stdin: Path | None = None,
    named_by_stem: Collection[str] = (),
    *,
    further_sources: Iterable[str] = (),
    known_files: Collection[str] = (),
    store: RemoteStore | None = None,
) -> Sources:
    """The files behind what the user named.

    Args:
        source: A file, a folder, a pattern such as `notes/**/*.pdf`, a URL of one of these that
            fsspec opens, or `"-"` for JSON Lines on standard input.
        stdin: A file that holds what came on standard input, or the records that a program has
            given (`corpus.memory_records`); read in its place.
        named_by_stem: Paths within a folder whose files keep the names that a run of before gave
            them (`stem_names`).
        further_sources: What is read after it. The ids of their records begin with the source as
            it is named, whatever is read beside it.
        known_files: Files that a run has read before, as `CorpusFile.source` names them: they
            come first, in this order, so that a file more moves none of its records.
        store: Opens URLs, and remembers what they stand for; one of its own by default.

    Returns:
        The files in reading order; a folder's are sorted by path, hidden ones left out.

    Raises:
        CorpusError: A source cannot be read at all; every subclass says why.
    """
    if str(source) == STDIN:
        return Sources((CorpusFile(stdin, STDIN, "stdin", format="jsonl"),))
    if stdin is not None:
        return Sources((CorpusFile(stdin, str(source), "record", format="records"),))
    store = store or RemoteStore()
    listing = _one_source(source, named_by_stem, store)
    for name in further_sources:
        further = _one_source(name, (), store)
        renamed = [replace(file, name=file.source) for file in further.files]
        listing = listing.with_others(replace(further, files=tuple(renamed)))
    for file in listing.files:
        if file.compression == ".zst":
            require_zstd(file.source)
    ranks = {name: rank for rank, name in enumerate(known_files)}
    files = sorted(listing.files, key=lambda file: ranks.get(file.source, len(ranks)))
    return replace(listing, files=tuple(files))


def check_together(source: Any, further_sources: Iterable[str]) -> None:
    """Looks whether sources can be read one after the other.

    Raises:
        SourceStandsAlone: One is a stream, a data set or what a program has at hand.
    """
    names = [*further_sources]
    if names:
        for name in (source, *names):
            if not isinstance(name, str | Path) or str(name) == STDIN or is_data_set(name):
                named = isinstance(name, str | Path)
                raise SourceStandsAlone(str(name) if named else type(name).__name__)


def _one_source(source: str | Path, named_by_stem: Collection[str], store: RemoteStore) -> Sources:
    if source == "":  # as of a variable that is not set; to pathlib it is this folder
        raise CorpusNotFound("")
    path = Path(source)
    if is_url(source):
        return remote_sources(str(source), store)
    if path.is_dir():
        return _folder(path, named_by_stem)
    if path.exists():
        return Sources((_single(path),))
    if has_magic(str(source)):
        return _pattern(str(source), named_by_stem)
    raise CorpusNotFound(str(source))


def source_files(source: str | Path) -> list[Path]:
    """The files that `read_corpus` reads, in its order; none for standard input.

    Args:
        source: As in `read_corpus`.

    Raises:
        CorpusError: As in `read_corpus`.
    """
    return [file.local_path() for file in find_sources(source).files if file.path is not None]


def _single(path: Path) -> CorpusFile:
    kind = file_format(path)
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
        path,
        clean_name(str(path)),
        clean_name(file_stem(path)),
        format=format,
        compression=compression,
    )


def _folder(root: Path, named_by_stem: Collection[str]) -> Sources:
    left_out: list[str] = []
    paths = sorted((path.relative_to(root) for path in _walk(root, left_out)), key=_parts)
    readable, listing = sort_out(str(root), paths, left_out)
    files = _files_in(root, [root / path for path in readable], named_by_stem)
    return replace(listing, files=files)


def _parts(path: PurePath) -> tuple[str, ...]:
    return path.parts


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
        raise PatternMatchesNothing(pattern)
    for path in paths:
        if file_format(path) is None:
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
            clean_name(str(path)),
            stems.get(name, name),
            format=format,
            compression=compression,
        )
        for path in paths
        for name in [clean_name(path.relative_to(root).as_posix())]
        for format, compression in [file_format(path) or ("", "")]
    )


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
            left_out.append(f"{clean_name(relative)} ({reason})")
        folders[:] = [name for name in folders if name not in reasons]
        for name in names:
            path = Path(folder, name)
            if not name.startswith(UNSEEN) and path.is_file():
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
    stems = {path: file_stem(Path(path)) for path in paths}
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
