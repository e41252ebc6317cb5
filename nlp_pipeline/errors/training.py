"""Errors of training a Llama."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nlp_pipeline.errors.base import NlpPipelineError, counted, did_you_mean, listing
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.generation import ModelError
from nlp_pipeline.errors.packages import pip_install

_FORMS = (
    "a question with 'answers' (a list of texts; an empty one says that the text holds none), a "
    "record with a 'summary', a 'label' or 'labels', or an 'extraction' (an object)"
)


class TrainingError(NlpPipelineError):
    """A training that cannot begin or go on."""


class InvalidTrainingSetting(TrainingError):
    """A setting of the wrong type or out of its range."""

    stage = "config"

    def __init__(self, name: str, value: object, allowed: str) -> None:
        option = name.replace("_", "-")
        super().__init__(f"--{option} is {value!r} and must be {allowed}.")


class PeftMissing(TrainingError):
    """LoRA without the library that puts it into a model."""

    stage = "config"

    def __init__(self) -> None:
        super().__init__(
            f"--method lora needs peft. Type `{pip_install('train')}`, or train all weights with "
            "--method full."
        )


class NothingToTrainOn(TrainingError):
    """A corpus without references that a component of the pipeline could learn from."""

    def __init__(self, corpus: str, pipeline: str, components: Iterable[str]) -> None:
        super().__init__(
            f"{_place(corpus)} holds no references that the pipeline "
            f"'{_place(pipeline)}' could be trained on; its Llama components "
            f"are: {listing(components)}. A reference is {_FORMS}."
        )


class AnswersNotInText(TrainingError):
    """References none of which stands in its document."""

    def __init__(self, corpus: str, n: int, document_id: str, answer: str) -> None:
        super().__init__(
            f"None of the {counted(n, 'reference answer')} in {_place(corpus)} can be trained on: "
            f"the component answers by pieces of the document, and '{escaped(answer, 60)}' does "
            f"not stand in document '{escaped(document_id)}'. Copy answers from the text, or train "
            "the free mode: --set components.llama_qa.mode=free."
        )


class NothingWritten(TrainingError):
    """A corpus with summaries for components that write none."""

    def __init__(self, corpus: str, components: Iterable[str]) -> None:
        super().__init__(
            f"{_place(corpus)} has no other references than summaries. "
            f"{nothing_written(components)}"
        )


class TooFewDocuments(TrainingError):
    """A corpus that cannot be split."""

    def __init__(self, corpus: str, n: int) -> None:
        super().__init__(
            f"{_place(corpus)} holds references for {counted(n, 'document')} only, and a training "
            "is proved on documents that it has not seen. Add documents, or type --held-out 0 "
            "--early-stopping 0 to train without a proof."
        )


class LabelUnknown(TrainingError):
    """A reference label that the classifier does not have."""

    def __init__(
        self, document_id: str, label: str, *, component: str, labels: Iterable[str]
    ) -> None:
        names = list(labels)
        super().__init__(
            f"Document '{escaped(document_id)}' has the label '{escaped(label, 60)}', which the "
            f"component '{component}' does not know; it knows: {listing(names)}."
            f"{did_you_mean(label, names)} Correct the label, or set components.{component}.labels."
        )


class LossNotFinite(TrainingError):
    """A loss or a gradient that is no number."""

    def __init__(self, step: int, document_ids: Iterable[str], folder: str) -> None:
        names = listing(escaped(name) for name in document_ids)
        super().__init__(
            f"The loss of step {step} is not finite; the step was computed on the documents "
            f"{names}. The weights of the step before are kept in '{_place(folder)}'. Train "
            "anew with a smaller --learning-rate, or look at these documents."
        )


class NotTrainable(TrainingError):
    """A model that cannot be trained."""

    stage = "config"

    def __init__(self, model: str, reason: str, advice: str) -> None:
        super().__init__(f"'{_place(model)}' cannot be trained: {reason}. {advice}")


class TrainingDoesNotFit(TrainingError):
    """Too little memory."""

    def __init__(self, needed: float, available: float, advice: Iterable[str]) -> None:
        steps = listing(advice) or "a smaller model"
        super().__init__(
            f"The training needs about {needed / 1e9:.1f} GB of memory and {available / 1e9:.1f} "
            f"GB are free. What needs less: {steps}."
        )


class DifferentTraining(TrainingError):
    """A folder that holds another training."""

    def __init__(self, path: str, differences: Mapping[str, tuple[object, object]]) -> None:
        lines = [
            f"{name}: {_short(recorded)} → {_short(current)}"
            for name, (recorded, current) in differences.items()
        ]
        super().__init__(
            f"'{_place(path)}' holds another training. It differs in {listing(lines, 5)}. Name "
            "another folder with --out, or throw that training away with --fresh."
        )


class NotATraining(TrainingError):
    """A folder with something else in it."""

    def __init__(self, path: str, names: Iterable[str]) -> None:
        super().__init__(
            f"'{_place(path)}' is not empty and holds no training; there is: "
            f"{listing(map(escaped, names))}. Name another folder with --out."
        )


class TrainingDiskFull(TrainingError):
    """No space is left."""

    exit_code = 28
    retryable = True

    def __init__(self, path: str) -> None:
        super().__init__(
            f"The disk that holds '{_place(path)}' is full. The last checkpoint is safe. Make "
            "room and type the same command again: it goes on from there."
        )


class CheckpointDamaged(TrainingError):
    """A checkpoint that cannot be read."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"The checkpoint '{_place(path)}' cannot be read ({escaped(reason, 200)}). Begin "
            "anew with --fresh."
        )


class AdapterUnreadable(ModelError):
    """A folder that holds no adapter that can be used."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"The adapter '{_place(path)}' cannot be used: {reason}. An adapter is a folder with "
            "adapter_config.json and adapter_model.safetensors, as `nlp-pipeline train` and peft "
            "write it."
        )


class AdapterForOtherBase(ModelError):
    """An adapter that was trained on another model."""

    def __init__(self, path: str, trained_on: str, *, model: str, reason: str) -> None:
        super().__init__(
            f"The adapter '{_place(path)}' was trained on '{_place(trained_on)}' and cannot be "
            f"put into '{_place(model)}': {reason}. Name its own base with --model, or leave "
            "--adapter out."
        )


def _place(name: str) -> str:
    """A path or a name in full: cut short it would name nothing."""
    return escaped(name, 1000)


def _short(value: object) -> str:
    text = "none" if value is None else str(value)
    return escaped(text, 60)


class PromptsDoNotFit(TrainingError):
    """A corpus none of whose prompts fits into the model's context."""

    def __init__(self, corpus: str, model: str, document_ids: Iterable[str]) -> None:
        names = listing(dict.fromkeys(map(escaped, document_ids)), 3)
        super().__init__(
            f"No prompt about a document of {_place(corpus)} fits into the context of "
            f"'{_place(model)}' with its answer (documents: {names}). Split the documents, or "
            "name a model with a longer context."
        )


def nothing_written(components: Iterable[str]) -> str:
    """Says that components choose sentences, and what to type."""
    names = list(components)
    return (
        f"{listing(names)} chooses sentences of the document and writes no summary that could be "
        f"trained. To train the mode that writes, type --set components.{names[0]}.mode=free."
    )


def questions_altered(n: int, language: str, languages: Sequence[str]) -> str:
    """Says how many questions are asked a second time, and what the language does not allow."""
    note = f"Questions asked a second time, altered so that their text does not answer them: {n}."
    if language not in languages:
        note += (
            f" In '{escaped(language)}' numbers alone are changed, and names and nouns where the "
            "pipeline finds them (ner, tagger): opposites and negations are known in "
            f"{listing(languages)}."
        )
    return note


def answers_left_out(n: int, document_id: str, answer: str) -> str:
    """Says that references cannot be generated as the component asks."""
    return (
        f"References that are left out, because the component could not give them: {n}. The first "
        f"is '{escaped(answer, 60)}', which is no piece of document '{escaped(document_id)}'."
    )


def prompts_left_out(n: int, document_id: str) -> str:
    """Says that prompts are too long for the model."""
    return (
        "Prompts that are left out, because they do not fit into the model's context with their "
        f"answers: {n}. The first is about document '{escaped(document_id)}'."
    )


def no_proof() -> str:
    """Says that nothing was held out."""
    return "No documents are held out: whether the training helps is not shown."
