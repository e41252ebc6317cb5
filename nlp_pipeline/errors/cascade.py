"""Errors of a spaCy component that is asked before the Llama."""

from __future__ import annotations

from collections.abc import Iterable

from nlp_pipeline.errors.base import listing
from nlp_pipeline.errors.config import ConfigError
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.evaluation import EvaluationError


class FirstNotLoaded(ConfigError):
    """A spaCy pipeline that cannot be loaded."""

    def __init__(self, setting: str, path: str, reason: str) -> None:
        super().__init__(
            f"{setting}: '{escaped(path, 1000)}' cannot be loaded as a spaCy pipeline "
            f"({escaped(' '.join(reason.split()), 300)}). Give the folder of one, as "
            "`nlp-pipeline distil` and `spacy train` write it, or the name of an installed package."
        )


class FirstLacksComponent(ConfigError):
    """A spaCy pipeline without the component that could answer."""

    def __init__(
        self, setting: str, path: str, *, needed: Iterable[str], pipes: Iterable[str], why: str = ""
    ) -> None:
        reason = f" {why}" if why else ""
        super().__init__(
            f"{setting}: the pipeline in '{escaped(path, 1000)}' has no "
            f"{' or '.join(needed)}; it has: {listing(map(escaped, pipes))}.{reason}"
        )


class FirstLabelsDiffer(ConfigError):
    """A spaCy component that was trained for other labels."""

    def __init__(
        self, setting: str, path: str, *, missing: Iterable[str], further: Iterable[str]
    ) -> None:
        super().__init__(
            f"{setting}: the labels of '{escaped(path, 1000)}' are not those of this component. "
            f"It lacks: {listing(map(escaped, missing))}. It has beside: "
            f"{listing(map(escaped, further))}. Distil a run with these labels, or set the labels "
            "that it knows."
        )


class FirstCannotFill(ConfigError):
    """A form with values that no piece of a text can be."""

    def __init__(self, setting: str, names: Iterable[str]) -> None:
        super().__init__(
            f"{setting}: a spaCy component finds pieces of the text, and these properties of the "
            f"schema are no texts and no lists of texts: {listing(map(escaped, names))}. Leave "
            "`first` out, or make them texts."
        )


class RunHasFirst(EvaluationError):
    """A cascade's run where one by the Llama alone is needed."""

    def __init__(self, run: str, component: str, first: str) -> None:
        super().__init__(
            f"In {escaped(run, 1000)} '{escaped(component)}' already left documents to "
            f"'{escaped(first, 1000)}', and nothing is known of what the Llama says of these. "
            f"Evaluate a run with components.{escaped(component)}.first=null."
        )


class NoCascade(EvaluationError):
    """A run or a corpus that a cascade cannot be judged by."""

    def __init__(self, corpus: str, run: str) -> None:
        super().__init__(
            f"--first is judged by labels: the run in {escaped(run, 1000)} needs a "
            f"`llama_classifier`, and {escaped(corpus, 1000)} documents of that run with "
            "`meta.label` or `meta.labels`."
        )


class WantedAccuracyInvalid(EvaluationError):
    """An accuracy that is none."""

    def __init__(self, value: float) -> None:
        super().__init__(f"--wanted-accuracy is {value!r} and must be a number from 0 to 1.")
