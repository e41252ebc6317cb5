"""The config of a student's training, as `spacy init config` writes it: to be edited like any."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from confection import Config
from spacy.util import load_config

from nlp_pipeline.distillation.distil_settings import DistilSettings
from nlp_pipeline.distillation.example_split import ExampleSplit
from nlp_pipeline.distillation.teacher import Teacher
from nlp_pipeline.distillation.teacher_document import TeacherDocument
from nlp_pipeline.errors.distillation import StudentNotTrained
from nlp_pipeline.errors.escapes import described

_EVALUATIONS = 20
_PATIENCE = 6
"""Looks at the documents of `dev` without a better score, after which the training ends."""

_LONGEST = 12
"""Tokens of the longest piece that a `spancat` looks at."""


def factory_of(teacher: Teacher, kind: str) -> str:
    """The spaCy factory of a student."""
    return "textcat_multilabel" if kind == "textcat" and teacher.is_multi_label else kind


def student_config(
    teacher: Teacher,
    split: ExampleSplit,
    settings: DistilSettings,
    *,
    paths: tuple[Path, Path],
) -> Config:
    """A training config for spaCy.

    Args:
        teacher: Gives the labels and the language.
        split: Gives the lengths of values.
        settings: What is trained, for how many steps.
        paths: Of the training examples and of those that the best step is chosen by.
    """
    # Not at the top: spaCy's command line takes a second to import.
    from spacy.cli.init_config import init_config

    factory = factory_of(teacher, settings.kind)
    lang = "xx" if teacher.tokenizer else teacher.language
    config = init_config(lang=lang, pipeline=[factory], optimize="efficiency", gpu=False)
    if teacher.tokenizer:
        config["nlp"] |= {"lang": teacher.language, "tokenizer": teacher.tokenizer}
    config["paths"]["train"], config["paths"]["dev"] = map(str, paths)
    config["system"]["seed"] = settings.seed
    training = config["training"]
    training["max_steps"] = settings.max_steps
    training["eval_frequency"] = max(1, settings.max_steps // _EVALUATIONS)
    training["patience"] = _PATIENCE * training["eval_frequency"]
    if factory in ("textcat", "textcat_multilabel"):
        # Also a label that the teacher never gave: it is one that the classifier knows.
        config["initialize"]["components"] = {factory: {"labels": list(teacher.labels)}}
    elif factory == "spancat":
        sizes = list(range(1, _longest_span(split.train) + 1))
        config["components"]["spancat"]["suggester"] = {
            "@misc": "spacy.ngram_suggester.v1",
            "sizes": sizes,
        }
    return config


def edited_config(file: Path, paths: tuple[Path, Path]) -> Config:
    """A training config that somebody has edited, for other examples.

    Raises:
        StudentNotTrained: It cannot be read, or is no training config.
    """
    try:
        config = load_config(file, interpolate=False)
        config["paths"]["train"], config["paths"]["dev"] = map(str, paths)
    except Exception as error:  # confection raises what it likes on odd files
        raise StudentNotTrained(str(file), described(error)) from error
    return config


def _longest_span(documents: Sequence[TeacherDocument]) -> int:
    """Tokens of the longest value at most: words between spaces are too few, so one is added."""
    lengths = (
        len(document.text[span.start : span.end].split()) + 1
        for document in documents
        for span in document.spans
    )
    return min(max(lengths, default=1), _LONGEST)
