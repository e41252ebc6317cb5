"""The labels of a spaCy text categorizer, where it is sure enough to spare the Llama."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nlp_pipeline.components.first_pipeline import FirstPipeline


class FirstLabels:
    """A text categorizer that is asked before the Llama.

    Args:
        setting: What messages call it.
        path: Of its pipeline.
        labels: Those of the Llama's component.
        is_multi_label: Whether several of them may fit.

    Raises:
        ConfigError: It cannot be loaded, is no text categorizer of this kind, or was trained for
            other labels.
    """

    def __init__(
        self, setting: str, path: str, *, labels: Sequence[str], is_multi_label: bool
    ) -> None:
        factory = "textcat_multilabel" if is_multi_label else "textcat"
        why = "Several labels may fit here." if is_multi_label else "One label fits here."
        self._first = FirstPipeline(setting, path, factories=(factory,), why=why)
        self._first.check_labels(labels)
        self.path = path
        self._labels = list(labels)
        self._is_multi_label = is_multi_label

    def probabilities(self, text: str) -> dict[str, float]:
        """The probability of each label, in the order of the Llama's component."""
        nlp = self._first.nlp
        # The words of a million documents would stay in its vocabulary.
        with nlp.memory_zone():
            cats = nlp(text).cats
            return {label: float(cats[label]) for label in self._labels}

    def certainty(self, probabilities: Mapping[str, float]) -> float:
        """How sure it is of all that it says, from 0 to 1.

        The probability of the likeliest label; where several may fit, that of the yes or no of
        the label that it is least sure of.
        """
        if self._is_multi_label:
            return min(max(p, 1 - p) for p in probabilities.values())
        return max(probabilities.values())
