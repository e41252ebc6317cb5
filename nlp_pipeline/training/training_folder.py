"""A training's folder: the model, its adapter, and all that a stopped training goes on from.

The model lies in the folder itself, the adapter in `adapter/`, everything else in `training/`:
what stands there changes no answer, and no digest of the model.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.escapes import described
from nlp_pipeline.errors.run_folder import OutputNotWritable
from nlp_pipeline.errors.training import (
    CheckpointDamaged,
    DifferentTraining,
    NotATraining,
    TrainingDiskFull,
)
from nlp_pipeline.models.digests import SUFFIXES
from nlp_pipeline.models.trained_settings import MODEL_MANIFEST, manifest_of
from nlp_pipeline.run_folder.files import write_atomically, write_json, write_text
from nlp_pipeline.run_folder.lock import LOCK, locked
from nlp_pipeline.training.trainer import StepFigures

INNER, ADAPTER, MANIFEST = str(MODEL_MANIFEST.parent), "adapter", MODEL_MANIFEST.name
LOG, CHECKPOINT, REPORT = "steps.jsonl", "checkpoint.pt", "report.json"
SAVED = "saved.json"
FINISHED = "finished"


class TrainingFolder:
    """The folder, held by this process; made by `open_training`.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.inner = path / INNER
        self.adapter = path / ADAPTER
        self.report_file = path / INNER / REPORT

    def manifest(self) -> dict[str, Any] | None:
        """What was written last; None before anything was."""
        return training_manifest(self.path)

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Writes the manifest anew."""
        with self.disk_errors():
            write_json(self.inner / MANIFEST, manifest)

    def check_same(self, fingerprint: Mapping[str, Any]) -> None:
        """Refuses to go on with another training.

        Raises:
            DifferentTraining: The folder's has another fingerprint.
        """
        recorded = (self.manifest() or {}).get("fingerprint")
        if recorded is None:
            return
        names = [*recorded, *(name for name in fingerprint if name not in recorded)]
        current = json.loads(json.dumps(fingerprint, default=str))
        differences = {
            name: (recorded.get(name), current.get(name))
            for name in names
            if recorded.get(name) != current.get(name)
        }
        if differences:
            raise DifferentTraining(str(self.path), differences)

    def check_base(self, base: Mapping[str, Any]) -> None:
        """Refuses to go on with other weights.

        Raises:
            DifferentTraining: The folder's training began with them.
        """
        recorded = (self.manifest() or {}).get("base")
        if recorded is not None and recorded != base:
            differing = {"base model's digest": (recorded.get("digest"), base.get("digest"))}
            raise DifferentTraining(str(self.path), differing)

    def log(self, figures: StepFigures) -> None:
        """Adds a step to the log."""
        with self.disk_errors(), (self.inner / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(figures)) + "\n")

    def steps(self) -> list[dict[str, Any]]:
        """The logged steps."""
        return logged_steps(self.path)

    def save(self, state: dict[str, Any]) -> None:
        """Writes a checkpoint; the one before stays until this one is whole."""
        import torch

        with self.disk_errors():
            write_atomically(self.inner / CHECKPOINT, lambda file: torch.save(state, file))
            write_json(self.inner / SAVED, {"step": state["step"]})

    def load(self) -> dict[str, Any] | None:
        """The last checkpoint, the log cut back to it; None where there is none.

        Raises:
            CheckpointDamaged: It cannot be read.
        """
        import torch

        file = self.inner / CHECKPOINT
        if not file.exists():
            write_text(self.inner / LOG, "")
            return None
        try:
            state: dict[str, Any] = torch.load(file, weights_only=True, map_location="cpu")
            n_steps = int(state["step"])
        except Exception as error:  # torch raises what it likes on damaged bytes
            reason = described(error) if isinstance(error, OSError) else "its bytes are damaged"
            raise CheckpointDamaged(str(file), reason) from error
        lines = [json.dumps(step) for step in self.steps() if step["step"] <= n_steps]
        write_text(self.inner / LOG, "".join(line + "\n" for line in lines))
        return state

    def report(self) -> dict[str, Any] | None:
        """The report of a finished training; None of one that is not."""
        if (self.manifest() or {}).get("state") != FINISHED or not self.report_file.exists():
            return None
        report: dict[str, Any] = json.loads(self.report_file.read_text("utf-8"))
        return report

    def discard_checkpoint(self) -> None:
        """Removes what only an unfinished training needs."""
        (self.inner / CHECKPOINT).unlink(missing_ok=True)

    @contextmanager
    def disk_errors(self) -> Iterator[None]:
        """Says what is wrong with the folder in place of an `OSError`."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise TrainingDiskFull(str(self.path)) from error
            raise OutputNotWritable(str(self.path), error.strerror or str(error)) from error


@contextmanager
def open_training(path: Path, *, fresh: bool = False) -> Iterator[TrainingFolder]:
    """Holds a training's folder; makes it where it is not there.

    Args:
        path: The folder.
        fresh: Throw away the training that it holds.

    Raises:
        NotATraining: It holds something else.
        RunLocked: Another process holds it.
        OutputNotWritable: It cannot be made.
    """
    folder = TrainingFolder(path)
    refuse_others(path)
    try:
        folder.inner.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritable(str(path), error.strerror or str(error)) from error
    with locked(folder.inner):
        if fresh:
            _throw_away(path)
        yield folder


def refuse_others(path: Path) -> None:
    """Refuses a folder that holds anything but a training.

    Raises:
        NotATraining: It does.
    """
    if path.is_dir():
        names = sorted(entry.name for entry in path.iterdir())
        if names and INNER not in names:
            raise NotATraining(str(path), names)
    elif path.exists():
        raise NotATraining(str(path), [path.name])


def training_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest of the training in a folder; None where it holds none."""
    return manifest_of(path / MODEL_MANIFEST)


def saved_step(path: Path) -> int:
    """How many steps the last checkpoint holds, without reading it."""
    try:
        return int(json.loads((path / INNER / SAVED).read_text("utf-8"))["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def logged_steps(path: Path) -> list[dict[str, Any]]:
    """The steps in a training's log; what follows a broken line is left out."""
    steps: list[dict[str, Any]] = []
    try:
        lines = (path / INNER / LOG).read_text("utf-8").splitlines()
    except OSError:
        return steps
    for line in lines:
        try:
            steps.append(json.loads(line))
        except ValueError:
            break
    return steps


def _throw_away(path: Path) -> None:
    """Removes what a training has written, and nothing else; the lock stays held."""
    if training_manifest(path) is None:
        return
    shutil.rmtree(path / ADAPTER, ignore_errors=True)
    for file in path.iterdir():
        if file.is_file() and file.suffix in SUFFIXES:
            file.unlink()
    for entry in (path / INNER).iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != LOCK:
            entry.unlink()
