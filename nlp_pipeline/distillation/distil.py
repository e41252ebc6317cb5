"""`distil`: what a run says becomes a spaCy component, if teacher and student pass the gate."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from spacy.language import Language

from nlp_pipeline.distillation import gate
from nlp_pipeline.distillation.distil_settings import DistilSettings
from nlp_pipeline.distillation.example_split import split_examples
from nlp_pipeline.distillation.reviewed_documents import take_reviews
from nlp_pipeline.distillation.student import student_values, train_student, write_examples
from nlp_pipeline.distillation.student_config import edited_config, factory_of, student_config
from nlp_pipeline.distillation.teacher import Teacher, read_teacher
from nlp_pipeline.distillation.teacher_document import Values
from nlp_pipeline.errors.distillation import (
    NoneHeldOut,
    NotAStudent,
    StudentExists,
    TeacherBelowBar,
    agreement_only,
    few_labelled,
    labels_unknown,
)
from nlp_pipeline.evaluation.bootstrap import Bootstrap
from nlp_pipeline.keywords import known_keywords
from nlp_pipeline.pipeline import PipelineSpec
from nlp_pipeline.run_folder.files import disk_errors, write_json
from nlp_pipeline.runner.request import Progress, RunRequest
from nlp_pipeline.runner.run import execute

INNER, CONFIG, REPORT = "distillation", "config.cfg", "report.json"
LABELLED = "labelled.jsonl"
"""The labelled documents that were not trained on, as a corpus."""

_FEW = 30
"""Labelled documents below which a warning says that they are few."""


@known_keywords
def distil(
    run: str | Path,
    out: str | Path,
    settings: DistilSettings,
    *,
    labelled: str | None = None,
    text_key: str = "text",
    id_key: str = "id",
    config: str | Path | None = None,
    fresh: bool = False,
    log: IO[str] | None = None,
    progress: Progress | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Trains a spaCy component on what a run says, by spaCy's own training.

    Args:
        run: The run's folder: the teacher.
        out: The student's folder, which `spacy.load` loads. Beside the pipeline it holds
            `distillation/`: the examples, the training's config, the report, and the labelled
            documents that were scored (`labelled.jsonl`).
        settings: What is trained, and on what.
        labelled: A corpus with references, as for `evaluate`: teacher and student are scored on
            it. Of its documents that the run has too those that are held out count; the others
            may be trained on, by the teacher's word. Over documents that the run lacks the
            teacher's pipeline is run first.
        text_key: Its field that holds the text.
        id_key: The one that holds the id.
        config: A training config to take in place of the one that is written.
        fresh: Throw away the student that the folder holds.
        log: Where spaCy's table of steps goes.
        progress: Is told how a run over the labelled documents goes.
        note: Takes remarks.

    Returns:
        Plain JSON: `gate` (`teacher`, `student`, `difference`, `commonest_label`; null without
        labelled documents), `agreement`, the counts of documents, settings and seconds.

    Raises:
        UnknownKeyword: There is no argument of that name; the message says which is near.
        RunNotFound: The folder holds no run.
        ReviewsDamaged: The run's reviews cannot be read.
        DistillationError: The run, the labelled documents or the folder cannot be used, or the
            teacher is below the bar.
    """
    begin = time.monotonic()
    run, out = Path(run), Path(out)
    paths = (out / INNER / "train.spacy", out / INNER / "dev.spacy")
    # Before anything is thrown away: it may lie in the folder itself.
    own_config = None if config is None else edited_config(Path(config), paths)
    _check_folder(out, fresh=fresh)
    teacher = read_teacher(run, settings)
    n_reviewed = take_reviews(run, teacher)
    cases = None
    if labelled is not None:
        every_case = gate.read_labelled(labelled, teacher, text_key=text_key, id_key=id_key)
        cases = every_case.held_out(teacher, settings)
        if every_case.n_unknown:
            note(labels_unknown(every_case.n_unknown, teacher.labels))
        if not cases.records:
            raise NoneHeldOut(labelled, len(every_case.records), settings.held_out)
    split = split_examples(teacher, settings)
    inner = out / INNER
    bootstrap = Bootstrap()
    teacher_scores: dict[gate.Case, float] = {}
    with disk_errors(out):
        inner.mkdir(parents=True, exist_ok=True)
        if cases is not None:
            cases.write(inner / LABELLED)
    if cases is not None:
        values = teacher.values
        if not gate.in_run(cases, teacher):
            pipeline = PipelineSpec(str(run / "config.cfg"))
            request = RunRequest(str(inner / LABELLED), inner / "teacher", pipeline)
            values = _values_of(execute(request, progress).out, settings, teacher)
        teacher_scores = gate.scores(cases, values)
        _check_bar(cases, teacher, teacher_scores, settings)
        if len(cases.records) < _FEW:
            note(few_labelled(len(cases.records)))
    with disk_errors(out):
        for file, documents in zip(paths, (split.train, split.dev), strict=True):
            write_examples(file, documents, teacher, settings.kind)
        training_config = own_config or student_config(teacher, split, settings, paths=paths)
        training_config.to_disk(inner / CONFIG)
        student = train_student(training_config, inner / CONFIG, out, log)
    tested = [(document.id, document.text) for document in split.test]
    own_values = student_values(student, tested, settings.kind)
    agreement = gate.agreement(
        teacher.values, own_values, [document.id for document in split.test], bootstrap
    )
    report: dict[str, Any] = {
        "run": str(run),
        "what": factory_of(teacher, settings.kind),
        "source": teacher.source,
        "component": teacher.component,
        "labels": teacher.labels,
        "documents": {name: len(getattr(split, name)) for name in ("train", "dev", "test")},
        "left_out": split.left_out,
        "reviewed": n_reviewed,
        "agreement": agreement,
        "gate": _gate(cases, teacher, teacher_scores, student, settings, bootstrap),
        "labelled": labelled,
        "settings": asdict(settings),
    }
    report["seconds"] = round(time.monotonic() - begin, 1)
    if cases is None:
        note(agreement_only(len(split.test)))
    with disk_errors(out):
        write_json(inner / REPORT, report)
    return report


def _check_folder(out: Path, *, fresh: bool) -> None:
    """Refuses a folder that holds a student or anything else.

    Raises:
        StudentExists: It holds a finished student, and is not to be thrown away.
        NotAStudent: It holds something else.
    """
    if out.exists() and not out.is_dir():
        raise NotAStudent(str(out), [out.name])
    names = sorted(entry.name for entry in out.iterdir()) if out.is_dir() else []
    if not names:
        return
    if INNER not in names:
        raise NotAStudent(str(out), names)
    if (out / INNER / REPORT).exists():
        if not fresh:
            raise StudentExists(str(out))
        with disk_errors(out):
            shutil.rmtree(out)


def _values_of(run: Path, settings: DistilSettings, teacher: Teacher) -> Values:
    """What the teacher says of the labelled documents in a run of their own."""
    own = DistilSettings(
        settings.kind,
        source="auto" if teacher.source == "classifications" else teacher.source,
        component=teacher.component,
    )
    return read_teacher(run, own).values


def _check_bar(
    cases: gate.LabelledCases,
    teacher: Teacher,
    scores: dict[gate.Case, float],
    settings: DistilSettings,
) -> None:
    value = sum(scores.values()) / len(scores)
    if value < settings.bar and not settings.anyway:
        commonest = None
        if teacher.source == "classifications":
            commonest = gate.commonest_label_share(cases)
        raise TeacherBelowBar(value, settings.bar, n=len(scores), commonest=commonest)


def _gate(
    cases: gate.LabelledCases | None,
    teacher: Teacher,
    teacher_scores: dict[gate.Case, float],
    student: Language,
    settings: DistilSettings,
    bootstrap: Bootstrap,
) -> dict[str, Any] | None:
    """Teacher and student on labelled documents."""
    if cases is None:
        return None
    values = student_values(student, gate.student_documents(cases), settings.kind)
    student_scores = gate.scores(cases, values)
    commonest = None
    if teacher.source == "classifications":
        commonest = gate.commonest_label_share(cases)
    return {
        "n": len(cases.right),
        "teacher": gate.mean(teacher_scores, bootstrap),
        "student": gate.mean(student_scores, bootstrap),
        "difference": gate.difference(teacher_scores, student_scores, bootstrap),
        "commonest_label": commonest,
        "bar": settings.bar,
    }
