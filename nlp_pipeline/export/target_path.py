"""Where an export may be written: not into a run, not over a corpus, not under another's name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nlp_pipeline.errors.export import (
    TargetInARun,
    TargetIsAFolder,
    TargetIsNoFolder,
    TargetIsTheCorpus,
    TargetNamedAsFile,
    TargetSuffix,
    TargetUnderAFile,
)
from nlp_pipeline.export.export_targets import DATABASES, TARGETS
from nlp_pipeline.run_folder.folder import read_manifest
from nlp_pipeline.run_folder.read import is_run


def check_target(run: Path, path: Path, to: str, tables: Iterable[str]) -> None:
    """Looks whether a form can be written to a path, before anything is.

    Args:
        run: The run's folder.
        path: The folder or the file to write.
        to: A name of `TARGETS`.
        tables: What is exported.

    Raises:
        TargetInARun: It is the folder of a run, or lies in one.
        TargetUnderAFile: What should be a folder above it is a file.
        TargetIsAFolder: A file is to be written where a folder is.
        TargetIsNoFolder: Files are to be written into what is a file.
        TargetNamedAsFile: A folder is to be made whose name ends as that of a file.
        TargetSuffix: A file is to be written whose name ends as that of another form.
        TargetIsTheCorpus: A file that the run has read is to be written over.
    """
    whole = path.resolve()
    for folder in (whole, *whole.parents):
        if folder.is_dir() and is_run(folder):
            raise TargetInARun(str(path), str(folder))
        if folder != whole and folder.exists() and not folder.is_dir():
            raise TargetUnderAFile(str(path), str(folder))
    check = _check_folder if TARGETS[to].is_folder else _check_file
    check(path, to)
    _refuse_corpus(run, path, to, tables)


def _check_folder(path: Path, to: str) -> None:
    if path.is_dir():
        return
    if path.exists():
        raise TargetIsNoFolder(str(path), to)
    suffix = path.suffix.lower()
    if forms := [name for name, target in TARGETS.items() if suffix in target.suffixes]:
        raise TargetNamedAsFile(str(path), to, [name for name in forms if name != to])


def _check_file(path: Path, to: str) -> None:
    suffixes = TARGETS[to].suffixes
    if path.is_dir():
        raise TargetIsAFolder(str(path), to, suffixes[0])
    if to in DATABASES and path.exists():  # the database says what the file is
        return
    if path.suffix and path.suffix.lower() not in suffixes:
        raise TargetSuffix(str(path), to, suffixes)


def _refuse_corpus(run: Path, path: Path, to: str, tables: Iterable[str]) -> None:
    """A file that the run has read is nothing that an export makes anew."""
    form = TARGETS[to]
    files = [path / f"{t}{s}" for t in tables for s in form.suffixes] if form.is_folder else [path]
    inputs = {Path(name).resolve(): name for name in (read_manifest(run) or {}).get("inputs", {})}
    for file in files:
        if name := inputs.get(file.resolve()):
            raise TargetIsTheCorpus(str(file), name)
