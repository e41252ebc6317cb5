"""`llama_classifier`: one or several of given labels for each Doc, with probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from spacy.language import Language
from spacy.scorer import Scorer
from spacy.tokens import Doc
from spacy.training import Example

from nlp_pipeline.components.base import Ask, LlamaComponent
from nlp_pipeline.components.completion_scores import completion_score
from nlp_pipeline.components.first_labels import FirstLabels
from nlp_pipeline.components.first_pipeline import checked_first_threshold
from nlp_pipeline.components.generators import DEFAULT_GENERATOR
from nlp_pipeline.components.labels import corrected, parse_labels
from nlp_pipeline.components.reference_scores import evaluate_with_references
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.config import InvalidSetting
from nlp_pipeline.generation.chat import Chat
from nlp_pipeline.generation.constraints.forced import Forced
from nlp_pipeline.generation.interface import Completion, Generator, SamplingParams, generate
from nlp_pipeline.prompts import PromptTemplate, load_template

CONTENT_FREE = ("N/A", "[MASK]", "...")
"""Documents without content, for calibration; the paper averages over several."""

_YES_NO = ("yes", "no")

_DEFAULTS: dict[str, Any] = {
    "labels": [],
    "multi_label": False,
    "threshold": None,
    "calibration": "content_free",
    "template": None,
    "yes_no": list(_YES_NO),
    "first": None,
    "first_threshold": None,
    "generator": DEFAULT_GENERATOR,
}


@Language.factory(
    "llama_classifier",
    assigns=["doc.cats", "doc._.classifications"],
    default_config=_DEFAULTS,
)
def make_llama_classifier(
    nlp: Language,
    name: str,
    labels: Any,
    multi_label: bool,
    threshold: float | None,
    calibration: Literal["content_free", "none"],
    template: str | None,
    yes_no: list[str],
    first: str | None,
    first_threshold: float | None,
    generator: Any,
) -> LlamaClassifier:
    """Makes a `LlamaClassifier`; the settings are described there."""
    evaluate_with_references(nlp)
    template = template or ("classify_each.v1" if multi_label else "classify.v2")
    return LlamaClassifier(
        name,
        generator,
        labels=labels,
        multi_label=multi_label,
        threshold=0.5 * multi_label if threshold is None else threshold,
        calibration=calibration,
        template=load_template(template),
        yes_no=yes_no,
        first=first,
        first_threshold=first_threshold,
    )


class LlamaClassifier(LlamaComponent):
    """Gives each Doc label probabilities in `doc.cats`, without reading any generated text.

    Every label is scored as the beginning of the answer: the sum of its tokens' log-probabilities,
    in the model's own distribution. The labels' probabilities are these, corrected for what the
    model answers to no document at all, and normalised: over all labels, or with `multi_label`
    over yes and no for each label alone. The requests of a Doc share its prefix, so a label costs
    its own few tokens.

    What follows a label says little of it, so the end of the answer counts only where it is the
    reply as a whole (`multi_label`), and where a label begins another ("sport", "sports news") and
    nothing else keeps the shorter one from winning always (`calibration` of `none`).

    `doc._.classifications` has a plain dict per classifier: the labels it chose, the status
    (`ok`, `no_answer` where no label reaches the threshold, `error`) and the log-probabilities.

    Args:
        name: The component's name in the pipeline.
        generator: Scores the labels; it has to obey constraints.
        labels: Texts, or an object of label: description; at least two, or with `multi_label`
            at least one.
        multi_label: Whether several labels may fit, or none.
        threshold: From 0 to 1. With `multi_label` each label of at least this probability is
            chosen (0.5 where the config has none); without, the likeliest is, if it has at least
            this one (0 where the config has none: always; 0.5: where it is likelier than all
            others together).
        calibration: `content_free` corrects for what the model says of no document
            (`labels.corrected`), `none` leaves the scores as they are.
        template: Is given `text` and `labels`, or with `multi_label` `text` and `label`; labels
            have `name` and `description`.
        yes_no: The two replies that a label is judged by with `multi_label`.
        first: A spaCy pipeline with a text categorizer of the same labels, by its folder or
            package. It answers alone, as `model` says in the tables, where it is sure.
        first_threshold: How sure it has to be, from 0 to 1 (`FirstLabels.certainty`); None for
            0.9.

    Raises:
        ConfigError: `first` cannot be used.
        InvalidSetting: Labels that are too few, empty or the same; a setting out of its range.
        PromptTemplateInvalid: The template uses a value that there is none of.
    """

    def __init__(
        self,
        name: str,
        generator: Generator,
        *,
        labels: Any,
        multi_label: bool,
        threshold: float,
        calibration: str,
        template: PromptTemplate,
        yes_no: Sequence[str] = _YES_NO,
        first: str | None = None,
        first_threshold: float | None = None,
    ) -> None:
        super().__init__(name, generator, SamplingParams())
        template.check(("text", "label") if multi_label else ("text", "labels"))
        if not 0 <= threshold <= 1:
            raise InvalidSetting(name, "threshold", threshold, allowed="a number from 0 to 1")
        if calibration not in ("content_free", "none"):
            raise InvalidSetting(
                name, "calibration", calibration, allowed="'content_free' or 'none'"
            )
        self.labels = parse_labels(name, labels, at_least=1 if multi_label else 2)
        if multi_label and (len(yes_no) != 2 or not all(reply.strip() for reply in yes_no)):
            raise InvalidSetting(
                name, "yes_no", yes_no, allowed="two texts: one for yes, one for no"
            )
        self.multi_label = multi_label
        self.threshold = threshold
        self.calibration = calibration
        self.template = template
        self.yes_no = tuple(yes_no)
        names = [label["name"] for label in self.labels]
        is_ambiguous = any(a != b and b.startswith(a) for a in names for b in names)
        self._counts_end = multi_label or (calibration == "none" and is_ambiguous)
        self._priors: dict[str, float] = {}
        self._first_threshold = checked_first_threshold(name, first_threshold)
        self._first: FirstLabels | None = None
        if first is not None:
            setting = f"components.{name}.first"
            self._first = FirstLabels(setting, first, labels=names, is_multi_label=multi_label)

    def asks(self, doc: Doc) -> list[Ask]:
        """One request per label, or per label and reply; none where `first` is sure."""
        if not doc.text.strip() or self._first_probabilities(doc):
            return []
        if self.calibration == "content_free" and not self._priors:
            self._priors = self._measure_priors()
        return self._asks(doc.text)

    def _asks(self, text: str) -> list[Ask]:
        if self.multi_label:
            return [
                _scored(f"{label['name']}={reply}", chat, reply)
                for label in self.labels
                for chat in [self.template.render({"text": text, "label": label})]
                for reply in self.yes_no
            ]
        chat = self.template.render({"text": text, "labels": self.labels})
        return [_scored(label["name"], chat, label["name"]) for label in self.labels]

    def _measure_priors(self) -> dict[str, float]:
        """Mean log-probability of each ask for documents without content; measured once."""
        asks = [(text, ask) for text in CONTENT_FREE for ask in self._asks(text)]
        requests = [self.request(str(n), ask, text) for n, (text, ask) in enumerate(asks)]
        sums = {ask.key: 0.0 for _, ask in asks}
        for completion in generate(self.generator, requests):
            if completion.error is not None:
                raise completion.error
            sums[asks[int(completion.request_id)][1].key] += self._score(completion)
        return {key: total / len(CONTENT_FREE) for key, total in sums.items()}

    def predict(self, doc: Doc, completions: Mapping[str, Completion]) -> dict[str, Any]:
        """Probabilities of the labels, and which are chosen."""
        if not completions and (probabilities := self._first_probabilities(doc)):
            assert self._first is not None
            return {**self._choice(probabilities, {}, ()), "model": self._first.path}
        keys = self._keys()
        replies = [completions[key] for row in keys for key in row] if completions else []
        error = next((c.error for c in replies if c.error is not None), None)
        if not replies or error is not None:
            return self._result("error" if error else "no_answer", {}, {}, replies, error)
        scores = {key: self._score(completions[key]) for row in keys for key in row}
        return self._choice(self._probabilities(scores), scores, replies)

    def _first_probabilities(self, doc: Doc) -> dict[str, float] | None:
        """What the component that is asked first says; None where it is not sure enough."""
        if self._first is None or not doc.text.strip():
            return None
        probabilities = self._first.probabilities(doc.text)
        is_sure = self._first.certainty(probabilities) >= self._first_threshold
        return probabilities if is_sure else None

    def _choice(
        self, cats: dict[str, float], scores: dict[str, float], replies: Sequence[Completion]
    ) -> dict[str, Any]:
        """The result with the labels that reach the threshold."""
        labels = [label for label, p in cats.items() if p >= self.threshold]
        if not self.multi_label:
            best = max(cats, key=cats.__getitem__)
            labels = [best] if cats[best] >= self.threshold else []
        result = self._result("ok" if labels else "no_answer", cats, scores, replies, None)
        return {**result, "labels": sorted(labels, key=cats.__getitem__, reverse=True)}

    def failed(self, doc: Doc, error: NlpPipelineError) -> dict[str, Any]:
        """A result without labels, with the reason."""
        return self._result("error", {}, {}, [], error)

    def has_reference(self, doc: Doc) -> bool:
        """Whether a reference Doc has scores of one of the labels."""
        return any(label["name"] in doc.cats for label in self.labels)

    def score(self, examples: Iterable[Example], **_: Any) -> dict[str, Any]:
        """The labels as spaCy scores categories (`cats_score` and its parts)."""
        labelled = [example for example in examples if self.has_reference(example.reference)]
        if not labelled:
            return {}
        names = [label["name"] for label in self.labels]
        scores: dict[str, Any] = Scorer.score_cats(
            labelled, "cats", labels=names, multi_label=self.multi_label
        )
        return scores

    def _keys(self) -> list[list[str]]:
        """Keys of the asks, in the rows that are normalised together."""
        names = [label["name"] for label in self.labels]
        if self.multi_label:
            return [[f"{name}={reply}" for reply in self.yes_no] for name in names]
        return [names]

    def _probabilities(self, scores: Mapping[str, float]) -> dict[str, float]:
        rows = [
            corrected([scores[key] for key in row], [self._priors.get(key, 0.0) for key in row])
            for row in self._keys()
        ]
        label_scores = [row[0] for row in rows] if self.multi_label else rows[0]
        return {label["name"]: p for label, p in zip(self.labels, label_scores, strict=True)}

    def _score(self, completion: Completion) -> float:
        """Log-probability of a label or a reply."""
        if self._counts_end:
            return completion_score(completion) or 0.0
        return sum(completion.logprobs)

    def _result(
        self,
        status: str,
        cats: dict[str, float],
        scores: dict[str, float],
        completions: Sequence[Completion],
        error: Exception | None,
    ) -> dict[str, Any]:
        model = self.model_name(completions[0]) if completions else None
        return {
            "component": self.name,
            "labels": [],
            "status": status,
            "probabilities": cats,
            "logprobs": scores,
            "prompt_tokens": sum(c.prompt_tokens for c in completions),
            "reused_tokens": sum(c.reused_tokens for c in completions),
            "output_tokens": sum(c.output_tokens for c in completions),
            "reasoning": None,
            "reasoning_tokens": None,
            "model": model,
            "error": None if error is None else str(error),
        }

    def set_annotations(self, doc: Doc, result: dict[str, Any]) -> None:
        """Writes the probabilities; what this component wrote to the Doc before is replaced."""
        doc._.classifications = [*self.of_others(doc._.classifications), result]
        for label in self.labels:
            doc.cats.pop(label["name"], None)
        doc.cats.update(result["probabilities"])


def _scored(key: str, chat: Chat, reply: str) -> Ask:
    """An ask for how likely a reply is: it is forced, after the space a word begins with."""
    # A forced text cannot be cut off by its own length: a byte is a token at most.
    params = SamplingParams(max_new_tokens=len(reply.encode()) + 2)
    return Ask(key, chat, Forced(" " + reply), params=params)
