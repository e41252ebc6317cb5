"""Who is told how a training goes."""

from __future__ import annotations

from typing import Protocol

from nlp_pipeline.training.trainer import StepFigures
from nlp_pipeline.training.training_estimate import TrainingEstimate


class TrainingProgress(Protocol):
    """Is told how a training goes."""

    def note(self, message: str) -> None:
        """Something worth knowing that is no error."""
        ...

    def begin(self, estimate: TrainingEstimate, n_done: int) -> None:
        """The steps begin: what they will take, and how many were taken before."""
        ...

    def step(self, figures: StepFigures) -> None:
        """One more step is taken."""
        ...


class SilentTraining:
    """Tells nobody."""

    def note(self, message: str) -> None:
        """Does nothing."""

    def begin(self, estimate: TrainingEstimate, n_done: int) -> None:
        """Does nothing."""

    def step(self, figures: StepFigures) -> None:
        """Does nothing."""
