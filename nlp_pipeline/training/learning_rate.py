"""The learning rate of each step: a rise, then a fall."""

from __future__ import annotations

import math

from nlp_pipeline.training.training_settings import TrainingSettings


def learning_rate(settings: TrainingSettings, step: int, steps: int) -> float:
    """The learning rate of a step.

    Args:
        settings: Height, warm-up and schedule.
        step: 0-based.
        steps: Of the whole training.

    Returns:
        Above 0 in every step.
    """
    warmup = round(settings.warmup * steps)
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    share = (step - warmup) / max(1, steps - warmup)  # of the fall, from 0 to below 1
    factors = {"constant": 1.0, "linear": 1 - share, "cosine": (1 + math.cos(math.pi * share)) / 2}
    return settings.learning_rate * factors[settings.schedule]
