"""The spaCy pipeline that a component asks before the Llama: loaded, and held to its labels."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import spacy
from spacy.language import Language

from nlp_pipeline.errors.cascade import FirstLabelsDiffer, FirstLacksComponent, FirstNotLoaded
from nlp_pipeline.errors.config import InvalidSetting
from nlp_pipeline.errors.escapes import described

DEFAULT_THRESHOLD = 0.9
"""How sure it has to be where `first_threshold` is null."""


class FirstPipeline:
    """A spaCy pipeline with one component that can answer in the Llama's place.

    Args:
        setting: What messages call it, such as `components.llama_classifier.first`.
        path: The folder of the pipeline, or an installed package's name.
        factories: Of which the component has to be.
        why: Why no other will do, for the message.

    Raises:
        FirstNotLoaded: There is no such pipeline.
        FirstLacksComponent: It has no component of these factories.
    """

    def __init__(
        self, setting: str, path: str, *, factories: Collection[str], why: str = ""
    ) -> None:
        try:
            self.nlp: Language = spacy.load(path)
        except Exception as error:  # spaCy, or whatever component the pipeline holds
            raise FirstNotLoaded(setting, path, described(error)) from error
        self.path = path
        self._setting = setting
        names = [
            name
            for name in self.nlp.pipe_names
            if self.nlp.get_pipe_meta(name).factory in factories
        ]
        if not names:
            raise FirstLacksComponent(
                setting, path, needed=factories, pipes=self.nlp.pipe_names, why=why
            )
        self.pipe: Any = self.nlp.get_pipe(names[-1])

    def check_labels(self, labels: Iterable[str]) -> None:
        """Holds the component's labels against those of the Llama's component.

        Raises:
            FirstLabelsDiffer: They are not the same.
        """
        llama_labels = list(labels)
        own = list(self.pipe.labels)
        missing = [label for label in llama_labels if label not in own]
        further = [label for label in own if label not in llama_labels]
        if missing or further:
            raise FirstLabelsDiffer(self._setting, self.path, missing=missing, further=further)


def checked_first_threshold(component: str, threshold: Any) -> float:
    """The setting `first_threshold` of a component.

    Raises:
        InvalidSetting: It is no number from 0 to 1.
    """
    if threshold is None:
        return DEFAULT_THRESHOLD
    is_number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if not is_number or not 0 <= threshold <= 1:
        allowed = "a number from 0 to 1, or null"
        raise InvalidSetting(component, "first_threshold", threshold, allowed=allowed)
    return float(threshold)
