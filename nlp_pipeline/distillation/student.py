"""A student: examples as spaCy's files, spaCy's own training, and what it says of a text."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import spacy
from confection import Config
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_loop
from spacy.util import filter_spans

from nlp_pipeline.distillation.teacher import Teacher
from nlp_pipeline.distillation.teacher_document import TeacherDocument, Values
from nlp_pipeline.errors.distillation import StudentNotTrained
from nlp_pipeline.errors.escapes import described

SPANS_KEY = "sc"
"""The key under which spaCy's `spancat` reads and writes its spans by default."""


def write_examples(
    file: Path, documents: Iterable[TeacherDocument], teacher: Teacher, kind: str
) -> None:
    """Writes documents as spaCy's training reads them."""
    # A language may have no tokenizer on this machine, and the run one of its own.
    own = {"nlp": {"tokenizer": teacher.tokenizer}} if teacher.tokenizer else {}
    nlp = spacy.blank(teacher.language, config=own)
    docs = DocBin()
    for document in documents:
        docs.add(_example(nlp, document, teacher, kind))
    docs.to_disk(file)


def _example(nlp: Language, document: TeacherDocument, teacher: Teacher, kind: str) -> Doc:
    doc = nlp.make_doc(document.text)
    if kind == "textcat":
        doc.cats = {label: float(label in document.labels) for label in teacher.labels}
        return doc
    # Where the run had other tokens a value may begin within one of these.
    pieces = (
        doc.char_span(span.start, span.end, label=span.label, alignment_mode="expand")
        for span in document.spans
    )
    spans = [span for span in pieces if span is not None]
    if kind == "ner":
        doc.set_ents(filter_spans(spans))
    else:
        doc.spans[SPANS_KEY] = spans
    return doc


def train_student(config: Config, config_file: Path, out: Path, log: IO[str] | None) -> Language:
    """Trains as `spacy train` does and leaves the best step's pipeline in a folder.

    Args:
        config: Of the training.
        config_file: Where it lies, for messages.
        out: The pipeline's folder.
        log: Where spaCy's table of steps goes; None for nowhere.

    Raises:
        StudentNotTrained: spaCy cannot train by this config.
    """
    stream = log or io.StringIO()
    training = config_file.parent / "training"
    try:
        training.mkdir(parents=True, exist_ok=True)
        nlp = init_nlp(config, use_gpu=-1)
        train_loop(nlp, training, use_gpu=-1, stdout=stream, stderr=stream)
        student = spacy.load(training / "model-best")
    except Exception as error:  # spaCy raises what it likes on configs that people edit
        raise StudentNotTrained(str(config_file), described(error)) from error
    # A speed is another one each time, and the folder's digest stands in fingerprints.
    student.meta.get("performance", {}).pop("speed", None)
    student.to_disk(out)
    shutil.rmtree(training)
    return student


def student_values(nlp: Language, documents: Sequence[tuple[str, str]], kind: str) -> Values:
    """What a student says of documents.

    Args:
        nlp: The student's pipeline.
        documents: Id and text of each.
        kind: As in `DistilSettings`.
    """
    values: Values = {}
    pipes = nlp.pipe(((text, name) for name, text in documents), as_tuples=True)
    for doc, name in pipes:
        if kind == "textcat":
            values[name, ""] = _labels(nlp, doc)
            continue
        for span in doc.ents if kind == "ner" else _by_score(doc):
            texts = values.get((name, span.label_), ())
            values[name, span.label_] = (*texts, span.text)
    return values


def _labels(nlp: Language, doc: Doc) -> tuple[str, ...]:
    """The likeliest label; of several that may fit those that are likelier than not."""
    ranked = sorted(doc.cats, key=doc.cats.__getitem__, reverse=True)
    if "textcat" in nlp.pipe_names:
        return tuple(ranked[:1])
    return tuple(label for label in ranked if doc.cats[label] >= 0.5)


def _by_score(doc: Doc) -> list[Span]:
    spans: Any = doc.spans.get(SPANS_KEY, [])
    scores = spans.attrs.get("scores", []) if len(spans) else []
    pairs = sorted(zip(spans, scores, strict=False), key=lambda pair: -float(pair[1]))
    return [span for span, _ in pairs]
