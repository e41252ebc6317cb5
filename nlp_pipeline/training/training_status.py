"""How a training stands: from its manifest and its log alone, also while it is going on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nlp_pipeline.run_folder.lock import is_held
from nlp_pipeline.training.training_folder import (
    FINISHED,
    INNER,
    logged_steps,
    saved_step,
    training_manifest,
)

State = Literal["running", "interrupted", "finished"]
_LAST = 10


@dataclass(frozen=True)
class TrainingStatus:
    """How a training stands.

    Attributes:
        state: `running`: a process holds the folder; `interrupted`: none does; `finished`.
        steps: Of the whole training.
        n_done: Steps that were taken.
        saved: Steps that a crash now would not lose.
        loss: Mean over the last ten steps; None before the first.
        tokens_per_second: In these steps.
        seconds_left: For the steps that are left, as these went; None before the first.
        command: The words of the command line that began it; none where Python did.
    """

    state: State
    steps: int
    n_done: int
    saved: int
    loss: float | None
    tokens_per_second: float | None
    seconds_left: float | None
    command: tuple[str, ...]


def training_status(path: str | Path) -> TrainingStatus | None:
    """How the training in a folder stands; None where it holds none."""
    folder = Path(path)
    manifest = training_manifest(folder)
    if manifest is None:
        return None
    logged = logged_steps(folder)
    is_finished = manifest.get("state") == FINISHED
    state: State = "finished" if is_finished else "interrupted"
    if not is_finished and is_held(folder / INNER):
        state = "running"
    steps, n_done = int(manifest.get("steps", 0)), len(logged)
    last = logged[-_LAST:]
    seconds = sum(step["seconds"] for step in last)
    rate = sum(step["tokens"] for step in last) / seconds if seconds else None
    return TrainingStatus(
        state=state,
        steps=steps,
        n_done=n_done,
        saved=n_done if is_finished else saved_step(folder),
        loss=sum(step["loss"] for step in last) / len(last) if last else None,
        tokens_per_second=rate,
        seconds_left=None if not last else max(0, steps - n_done) * seconds / len(last),
        command=tuple(manifest.get("command") or ()),
    )
