"""The labels of `llama_classifier`, and what log-probabilities say of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nlp_pipeline.errors.config import InvalidSetting

_ALLOWED = "a list of at least two texts, or an object of label: description"


def parse_labels(component: str, setting: Any, *, at_least: int) -> list[dict[str, str]]:
    """Labels as `{"name", "description"}`, in the order in which they were given.

    Raises:
        InvalidSetting: They are too few, no texts, empty, or two are the same but for case and
            space around them.
    """
    pairs: list[tuple[Any, Any]]
    if isinstance(setting, Mapping):
        pairs = list(setting.items())
    elif isinstance(setting, list | tuple):
        pairs = [(label, "") for label in setting]
    else:
        raise InvalidSetting(component, "labels", setting, allowed=_ALLOWED)
    names: set[str] = set()
    for label, description in pairs:
        texts = isinstance(label, str) and isinstance(description, str)
        if not texts or not label.strip() or "\n" in label:
            raise InvalidSetting(
                component, "labels", label, allowed="a text of one line that is not empty"
            )
        if label.strip().casefold() in names:
            raise InvalidSetting(
                component, "labels", label, allowed="different from the other labels"
            )
        names.add(label.strip().casefold())
    if len(pairs) < at_least:
        raise InvalidSetting(component, "labels", setting, allowed=_ALLOWED)
    return [{"name": k.strip(), "description": v.strip()} for k, v in pairs]


def softmax(scores: Sequence[float]) -> list[float]:
    """Probabilities that add up to 1, from log-probabilities of any height."""
    highest = max(scores)
    weights = [math.exp(score - highest) for score in scores]
    return [weight / sum(weights) for weight in weights]


def corrected(scores: Sequence[float], priors: Sequence[float]) -> list[float]:
    """Label probabilities with the model's liking for some labels taken out.

    Contextual calibration (Zhao et al., "Calibrate Before Use", 2021): each label's probability
    is divided by the one that it has for a content-free document, then all are normalised.

    Args:
        scores: Log-probability of each label.
        priors: The same for the content-free document; zeros correct nothing.
    """
    return softmax([score - prior for score, prior in zip(scores, priors, strict=True)])
