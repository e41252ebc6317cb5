"""The learning rate of each step: a rise, then a fall."""

from __future__ import annotations

import math

from nlp_pipeline.training.training_settings import TrainingSettings


def learning_rate(
    settings: TrainingSettings, step: int, steps: int, scheduled: int | None = None
) -> float:
    """The learning rate of a step.

    Args:
        settings: Height, warm-up, schedule and cool-down.
        step: 0-based.
        steps: Of the whole training.
        scheduled: Steps of all epochs, where the training stops before: the schedule is that of
            these, and the cool-down ends it.

    Returns:
        Above 0 in every step.
    """
    scheduled = scheduled or steps
    warmup = round(settings.warmup * scheduled)
    cooldown = round(settings.cooldown * steps)
    end = min(1.0, (steps - step) / cooldown) if cooldown else 1.0
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup * end
    share = (step - warmup) / max(1, scheduled - warmup)  # of the fall, from 0 to below 1
    factors = {"constant": 1.0, "linear": 1 - share, "cosine": (1 + math.cos(math.pi * share)) / 2}
    return settings.learning_rate * factors[settings.schedule] * end
