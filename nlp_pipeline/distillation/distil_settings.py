"""How a run is distilled: the one list of the settings, checked before anything is read."""

from __future__ import annotations

from dataclasses import dataclass

from nlp_pipeline.errors.distillation import InvalidDistilSetting

KINDS = ("textcat", "ner", "spancat")
SOURCES = ("auto", "extractions", "answers", "entities")

_MOST = 10**9


@dataclass(frozen=True)
class DistilSettings:
    """How a run is distilled into a spaCy component.

    Attributes:
        kind: The component: `textcat` from a classifier's labels (`textcat_multilabel` where
            several may fit), `ner` or `spancat` from values that stand in the text.
        source: Of `ner` and `spancat`: the values of a form (`extractions`), `answers` or
            `entities`; `auto` takes the first of these that the run has.
        component: The Llama component that is the teacher; None where the run has one only.
        min_confidence: Probability from 0 to 1 below which the teacher's word is not trained on.
        balance: A label has at most so many times the documents of the rarest; a `ner` or
            `spancat` at most so many without a value for one with. 0 leaves all.
        held_out: Share of the documents that student and teacher are compared on.
        max_steps: Steps of spaCy's training at most.
        bar: Share of labelled cases that the teacher has to have right.
        anyway: Train although the teacher is below the bar.
        seed: Of the training.

    Raises:
        InvalidDistilSetting: A setting is out of its range.
    """

    kind: str
    source: str = "auto"
    component: str | None = None
    min_confidence: float = 0.5
    balance: float = 5.0
    held_out: float = 0.2
    max_steps: int = 2000
    bar: float = 0.7
    anyway: bool = False
    seed: int = 1

    def __post_init__(self) -> None:
        checks = (
            ("what", self.kind in KINDS, f"one of {', '.join(KINDS)}"),
            ("source", self.source in SOURCES, f"one of {', '.join(SOURCES)}"),
            ("min_confidence", 0 <= self.min_confidence <= 1, "a number from 0 to 1"),
            ("balance", 0 <= self.balance <= _MOST, "a number from 0 to a billion"),
            ("held_out", 0 < self.held_out < 1, "a number between 0 and 1"),
            ("max_steps", 1 <= self.max_steps <= _MOST, "an integer from 1 to a billion"),
            ("bar", 0 <= self.bar <= 1, "a number from 0 to 1"),
        )
        for name, is_valid, allowed in checks:
            if not is_valid:
                value = self.kind if name == "what" else getattr(self, name)
                raise InvalidDistilSetting(name, value, allowed)
