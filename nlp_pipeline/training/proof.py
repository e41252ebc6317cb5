"""Whether a training helped: the held-out documents answered before and after it."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_pipeline.corpus import Record
from nlp_pipeline.evaluation.bootstrap import Bootstrap, Estimate
from nlp_pipeline.evaluation.outcomes import Outcome, outcomes
from nlp_pipeline.evaluation.references import References
from nlp_pipeline.pipeline import is_llama, suit_adapter
from nlp_pipeline.pipeline.overrides import components
from nlp_pipeline.run_folder.read import read_run
from nlp_pipeline.runner.request import Progress, RunRequest
from nlp_pipeline.runner.run import execute

if TYPE_CHECKING:
    import pandas as pd
    from confection import Config
    from spacy.language import Language

Scores = dict[str, dict[tuple[str, str], float]]
"""By measure, the score of each document and question (or of the document as a whole)."""


def reduced_config(
    config: Config, nlp: Language, trained: Iterable[str], references: References
) -> Config:
    """The pipeline with those Llama components only that are trained.

    A component's own questions are asked where there are references for them.

    Args:
        config: As it was resolved.
        nlp: The pipeline that it makes.
        trained: Names of the components.
        references: What is right.
    """
    reduced = config.copy()
    trained = set(trained)
    idle = {name for name, pipe in nlp.pipeline if is_llama(pipe) and name not in trained}
    reduced["nlp"]["pipeline"] = [n for n in reduced["nlp"]["pipeline"] if n not in idle]
    for name in idle:
        reduced["components"].pop(name, None)
    question_ids = {question_id for _, question_id in references.answers}
    for name in trained:
        section, pipe = reduced["components"][name], nlp.get_pipe(name)
        if "questions" in section:
            own: Any = getattr(pipe, "questions", [])
            section["questions"] = [deepcopy(q) for q in own if q["id"] in question_ids]
    return reduced


def with_model(config: Config, model: str) -> Config:
    """The pipeline with a trained model, its own tokenizer, no adapter, and what suits it."""
    changed = config.copy()
    for component in components(changed).values():
        generator = component.get("generator")
        if isinstance(generator, dict) and "model" in generator:
            generator["model"] = model
            if "tokenizer" in generator:
                generator["tokenizer"] = None
            if "adapter" in generator:
                generator["adapter"] = None
            suit_adapter(component)
    return changed


def answered(request: RunRequest, config: Config, progress: Progress | None = None) -> Path:
    """Runs a pipeline over the held-out documents, or goes on with that."""
    return execute(request, progress, config).out


def run_scores(run: Path, references: References, records: Iterable[Record]) -> Scores:
    """How right a run is, question by question and document by document.

    Args:
        run: The run's folder.
        references: What is right.
        records: Those that were run.
    """
    tables = read_run(run, ("answers", "categories"))
    results = outcomes(_rows(tables["answers"]), references, {})
    scores: Scores = {
        "exact_match": {_key(o): o.exact_match for o in results},
        "f1": {_key(o): o.f1 for o in results},
        "no_answer_accuracy": {
            _key(o): float(o.status == "no_answer") for o in results if o.answerable is False
        },
    }
    best: dict[str, tuple[float, str]] = {}
    for row in tables["categories"].to_dict("records"):
        name = row["document_id"]
        best[name] = max(best.get(name, (-1.0, "")), (float(row["score"]), str(row["label"])))
    scores["label_accuracy"] = {
        (name, ""): float(best.get(name, (0.0, ""))[1] in references.labels[name])
        for name in (record.id for record in records)
        if best and name in references.labels
    }
    scores["summary_f1"] = _summary_scores(run, references)
    return {name: values for name, values in scores.items() if values}


def _summary_scores(run: Path, references: References) -> dict[tuple[str, str], float]:
    """Overlap of words with the reference, as F1 of answers counts it."""
    from nlp_pipeline.components.answer_overlap import f1

    rows = _rows(read_run(run, ("summaries",))["summaries"])
    return {
        (row["document_id"], ""): f1(row["summary"], [references.summaries[row["document_id"]]])
        for row in rows
        if row["document_id"] in references.summaries
    }


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows with None for what is missing."""
    values = table.astype(object)
    return [
        {str(name): value for name, value in row.items()}
        for row in values.where(values.notna(), None).to_dict("records")
    ]


def _key(outcome: Outcome) -> tuple[str, str]:
    return outcome.document_id, outcome.question_id


def compared(base: Scores, trained: Scores, bootstrap: Bootstrap) -> dict[str, dict[str, Any]]:
    """Every measure before and after, and what was gained, with intervals.

    The gain's interval is of the paired differences: whole documents are drawn with all their
    questions, each with what became of it before and after.

    Returns:
        By measure `before`, `after` and `gain`, each `{"value", "low", "high", "n"}`.
    """
    report: dict[str, dict[str, Any]] = {}
    for measure in trained:
        keys = [key for key in trained[measure] if key in base.get(measure, {})]
        documents = [document for document, _ in keys]
        columns = {
            "before": [base[measure][key] for key in keys],
            "after": [trained[measure][key] for key in keys],
            "gain": [trained[measure][key] - base[measure][key] for key in keys],
        }
        means = {name: bootstrap.mean(values, documents) for name, values in columns.items()}
        if all(means.values()):
            report[measure] = {name: asdict(mean) for name, mean in means.items() if mean}
    return report


def verdict(gain: Estimate | dict[str, Any]) -> str:
    """What an interval of a gain shows, in words."""
    low, high = (gain["low"], gain["high"]) if isinstance(gain, dict) else (gain.low, gain.high)
    if low > 0:
        return "better"
    return "worse" if high < 0 else "no gain is shown"
