"""The step: mini-batch gradient descent as it stands in the textbooks, or AdamW."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from nlp_pipeline.training.training_settings import TrainingSettings


def optimizer(parameters: Iterable[Tensor], settings: TrainingSettings) -> torch.optim.Optimizer:
    """What takes the steps.

    Plain SGD, without momentum and decay, is `w ← w − η · g`; with the gradient that `Trainer`
    gives it, of the sum over the answers of a step over their number, that is the rule
    `w ← w − η/n · Σ∇w` of mini-batch gradient descent.

    Args:
        parameters: What is trained.
        settings: Which, and its learning rate.
    """
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=settings.learning_rate)
    return torch.optim.AdamW(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
