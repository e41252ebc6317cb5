"""`nlp-pipeline ask` for Python: a further question over the documents of a run."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_pipeline.components.questions import parse_questions
from nlp_pipeline.errors.ask import (
    EmptyQuestion,
    NoQuestionComponent,
    QuestionIdTaken,
    RunTooOld,
)
from nlp_pipeline.keywords import known_keywords
from nlp_pipeline.pipeline import resolve_config
from nlp_pipeline.run_folder.further_questions import FurtherQuestion, read_further_questions
from nlp_pipeline.run_folder.read import iter_parts, run_manifest
from nlp_pipeline.run_folder.writer import CONFIG, SETTINGS
from nlp_pipeline.runner.document_filter import matching_documents
from nlp_pipeline.runner.manifest import kept_pipeline
from nlp_pipeline.runner.own_records import OwnRecords
from nlp_pipeline.runner.request import Progress, RunRequest, RunResult
from nlp_pipeline.runner.run import execute, reading_options

if TYPE_CHECKING:
    from confection import Config


@dataclass(frozen=True)
class QuestionRequest:
    """A question that is ready to be asked.

    Attributes:
        question: With its id.
        is_known: Whether the run has it already, of all documents that it is to be asked of.
        request: The run that it is asked in.
        records: The documents.
        config: Of the run's pipeline.
    """

    question: FurtherQuestion
    is_known: bool
    request: RunRequest
    records: OwnRecords
    config: Config


@known_keywords
def ask(
    run: str | Path,
    question: str,
    *,
    where: str | None = None,
    id: str | None = None,
    component: str | None = None,
    n_process: int | None = None,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Asks the documents of a finished run one question more, without its corpus.

    The answers become part of the run: its tables have them, and whatever goes on with it asks
    new and changed documents too. A question that it has already costs nothing.

    Args:
        run: The run's folder.
        question: What to ask.
        where: A condition of SQL over the columns of `documents`: only these are asked.
        id: The question's id; by default the first of `f1`, `f2`, … that is free.
        component: The `llama_qa` to ask, where there are several; the first by default.
        n_process: As in `run`.
        batch_size: As in `run`.
        progress: Is told how it goes; where it has a method `answers`, it is given the rows of
            `answers` of each document.

    Raises:
        UnknownKeyword: There is no argument of that name; the message says which is near.
        AskError: It cannot be asked; the message says why.
        NlpPipelineError: As in `run`.
    """
    pace = {"n_process": n_process, "batch_size": batch_size}
    asked_of = question_request(run, question, where=where, id=id, component=component, **pace)
    return execute(asked_of.request, progress, asked_of.config, records=asked_of.records)


def question_request(
    run: str | Path,
    text: str,
    *,
    where: str | None = None,
    id: str | None = None,
    component: str | None = None,
    **pace: Any,
) -> QuestionRequest:
    """What `ask` asks for, as `execute` takes it.

    Args:
        run: The run's folder.
        text: The question.
        where: As in `ask`.
        id: As in `ask`.
        component: As in `ask`.
        pace: Fields of `RunRequest`.

    Raises:
        RunNotFound: The folder holds no run.
        AskError: As in `ask`.
    """
    folder, text = Path(run), " ".join(text.split())
    if not text:
        raise EmptyQuestion
    manifest = run_manifest(folder)
    if SETTINGS not in manifest:
        raise RunTooOld(str(run))
    spec = kept_pipeline(manifest, folder / CONFIG)
    request = RunRequest(manifest["corpus"], folder, spec, **{**reading_options(manifest), **pace})
    config = resolve_config(spec)
    component_name, own = _component(config, str(run), component)
    question_id, is_own = _question_id(folder, text, own, component_name, id)
    documents = None if where is None else tuple(matching_documents(folder, where))
    question = FurtherQuestion(question_id, text, component_name, documents=documents)
    records = OwnRecords(request, manifest, None if is_own else question)
    records.check()
    further = read_further_questions(folder)
    is_known = is_own or further.plus(question).questions == further.questions
    return QuestionRequest(question, is_known, request, records=records, config=config)


def _component(config: Config, run: str, name: str | None) -> tuple[str, list[dict[str, str]]]:
    """The component that is asked, and the questions of its config."""
    by_name = {
        key: component
        for key, component in config["components"].items()
        if component.get("factory") == "llama_qa"
    }
    if not by_name or (name is not None and name not in by_name):
        raise NoQuestionComponent(run, name, by_name)
    component_name = name if name is not None else next(iter(by_name))
    return component_name, parse_questions(
        component_name, by_name[component_name].get("questions") or []
    )


def _question_id(
    run: Path, text: str, own: list[dict[str, str]], component: str, id: str | None
) -> tuple[str, bool]:
    """The id of a question, and whether it is one of the pipeline's own.

    Raises:
        QuestionIdTaken: Another question has the id that is wanted.
    """
    further = [q for q in read_further_questions(run).questions if q.component == component]
    texts = {q["id"]: q["text"] for q in own} | {q.id: q.text for q in further}
    for known_id, known_text in texts.items():
        if " ".join(known_text.split()) == text and id in (None, known_id):
            return known_id, known_id in {q["id"] for q in own}
    of_records = set()
    for part in iter_parts(run, "answers"):
        of_records.update(part["question_id"].to_pylist())
    if id is not None:
        if id in texts or id in of_records:
            raise QuestionIdTaken(id, texts.get(id))
        return id, False
    free = (f"f{number}" for number in count(1))
    return next(name for name in free if name not in texts and name not in of_records), False
