"""Errors of evaluating a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nlp_pipeline.errors.base import NlpPipelineError, counted, did_you_mean, listing
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.packages import pip_install


class EvaluationError(NlpPipelineError):
    """A run that cannot be evaluated."""


class NoReferences(EvaluationError):
    """A corpus that says nothing of what is right."""

    def __init__(self, corpus: str) -> None:
        super().__init__(
            f"{escaped(corpus)} holds no references to evaluate by. Give its questions 'answers' "
            "(a list; an empty one says that the text holds no answer), or its records a "
            "'summary' or a 'label'; or use a corpus in SQuAD's or CoNLL-U's format."
        )


class NothingToCompare(EvaluationError):
    """A run that has nothing of what the corpus has references for."""

    def __init__(self, corpus: str, run: str) -> None:
        super().__init__(
            f"The run in {escaped(run)} has no answer, summary, label or token that "
            f"{escaped(corpus)} has a reference for. Evaluate it with the corpus that it was "
            "run on, with a pipeline that answers these questions."
        )


class NothingMeasured(EvaluationError):
    """A corpus whose only references are those that are to be left out."""

    def __init__(self, corpus: str) -> None:
        super().__init__(
            f"{escaped(corpus)} has references for summaries alone, and --no-rouge leaves these "
            "out: nothing would be measured, and nothing was run. Leave --no-rouge away, or give "
            "questions 'answers' or records a 'label'."
        )


class NothingToFit(EvaluationError):
    """A run from whose answers no weights can be learned."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(
            " ".join(["No weights can be learned from this run.", *reasons])
            + " Label more questions, with and without an answer in their text, of more documents; "
            "they have to be answered in the extractive mode."
        )


class RougeMissing(EvaluationError):
    """ROUGE without the library that computes it."""

    def __init__(self) -> None:
        super().__init__(
            f"ROUGE of summaries needs torchmetrics. Type `{pip_install('evaluate')}`, "
            "or leave the summaries out with --no-rouge."
        )


class GoldUnreadable(EvaluationError):
    """Gold annotations that spaCy cannot convert."""

    def __init__(self, document_id: str, reason: str) -> None:
        super().__init__(
            f"The gold annotations of document '{escaped(document_id)}' cannot be used: "
            f"{escaped(reason)}. Every word line of a CoNLL-U file has ten columns parted by tabs."
        )


def two_label_schemes(relations: Sequence[str]) -> str:
    """That dependency scores compare labels of two schemes.

    Args:
        relations: Those that the gold annotation does not know, the commonest first.
    """
    names = ", ".join(escaped(name) for name in relations[:5])
    return (
        f"The pipeline's dependency labels ({names}) are not of the gold annotation's scheme: "
        "dep_las counts them as wrong, and where schemes disagree on heads so does dep_uas. "
        "Compare a pipeline that was trained on the same scheme."
    )


def unknown_labels(n: int, labels: Mapping[str, int], run_labels: Sequence[str]) -> str:
    """That documents have labels that no run with these labels could give.

    Args:
        n: Such documents.
        labels: Their labels, each with the number of documents.
        run_labels: Those that the run has.
    """
    names = listing(
        f"'{escaped(label, 60)}' ({count}{_meant(label, run_labels)})"
        for label, count in labels.items()
    )
    return (
        f"The label accuracy leaves out {counted(n, 'document')} with a label that the run does "
        f"not know: {names}. It knows: {listing(escaped(label, 60) for label in run_labels)}. "
        "Correct the label in the corpus, or add it to the labels of the classifier."
    )


def _meant(label: str, choices: Sequence[str]) -> str:
    hint = did_you_mean(label, choices).lstrip()
    return f". {hint}" if hint else ""


def too_few_cases(setting: str, counts: Sequence[int], fewest: int) -> str:
    """Why a setting cannot be learned.

    Args:
        setting: Its name.
        counts: Cases for and against it in one half of the documents, then in the other.
        fewest: How many of each are needed.
    """
    kinds = {
        "no_answer_weights": "questions with an answer in their text and without",
        "confidence_weights": "answers that are right and that are wrong",
    }[setting]
    return (
        f"{setting} needs {fewest} {kinds} in each half of the documents, and there are "
        f"{counts[0]} and {counts[1]} in one, {counts[2]} and {counts[3]} in the other."
    )


def too_few_choices(counts: Sequence[int], fewest: int) -> str:
    """Why candidate_weights cannot be learned.

    Args:
        counts: Questions with a right and a wrong candidate in either half of the documents.
        fewest: How many are needed.
    """
    return (
        f"candidate_weights needs {fewest} questions with a right and a wrong candidate in each "
        f"half of the documents, and there are {counts[0]} and {counts[1]}. Candidates stand in "
        "the run's tables with `--set components.llama_qa.keep_candidates=true`."
    )


def learned_later(setting: str, config: str) -> str:
    """Why a setting is not learned together with better candidate_weights.

    Args:
        setting: Its name.
        config: The file that the weights are written to.
    """
    return (
        f"{setting} is learned from the scores that candidate_weights make, and these change: "
        f"run the corpus once more with `-p {escaped(config)}`, and fit that run."
    )
