"""`evaluate_run`: the tables of a run against the references of its corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_pipeline.corpus import Record, read_corpus
from nlp_pipeline.corpus.conllu import ConlluDocument, conllu_documents
from nlp_pipeline.corpus.data_set import is_data_set
from nlp_pipeline.corpus.remote_store import RemoteStore
from nlp_pipeline.corpus.sources import find_sources
from nlp_pipeline.errors.cascade import WantedAccuracyInvalid
from nlp_pipeline.errors.evaluation import NoReferences, NothingToCompare, unknown_labels
from nlp_pipeline.evaluation.bootstrap import Bootstrap
from nlp_pipeline.evaluation.cascade import judge_cascade
from nlp_pipeline.evaluation.cascade_cases import cascade_cases
from nlp_pipeline.evaluation.fitted_config import fit_components, write_fitted_config
from nlp_pipeline.evaluation.outcomes import LENGTHS, Outcome, outcomes
from nlp_pipeline.evaluation.references import References, read_references
from nlp_pipeline.evaluation.reliability import reliability
from nlp_pipeline.evaluation.review_references import (
    entity_score,
    read_review_references,
    value_score,
)
from nlp_pipeline.evaluation.rouge import KEYS, rouge
from nlp_pipeline.evaluation.scored_labels import documents_of_other_labels, scored_labels
from nlp_pipeline.evaluation.thresholds import advised_threshold
from nlp_pipeline.keywords import known_keywords
from nlp_pipeline.run_folder.folder import read_manifest
from nlp_pipeline.run_folder.read import is_run, read_run
from nlp_pipeline.runner.manifest import known_inputs, named_by_stem

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("exact_match", "f1")


@known_keywords
def evaluate_run(
    run: str | Path,
    corpus: str | Path,
    *,
    bootstrap: Bootstrap | None = None,
    with_rouge: bool = True,
    text_key: str = "text",
    id_key: str = "id",
    limit: int | None = None,
    max_length: int = 100_000,
    allow_private: bool = False,
    fitted_config: Path | None = None,
    first: str | None = None,
    wanted_accuracy: float | None = None,
) -> dict[str, Any]:
    """Compares a run with what its corpus says is right.

    Args:
        run: The run's folder.
        corpus: The corpus that was run, with references; or a run with reviews, this or another,
            whose reviews are the references then.
        bootstrap: How intervals are drawn.
        with_rouge: Whether summaries are scored, which needs the extra `evaluate`.
        text_key: The field or column that holds the text, as when the corpus was run.
        id_key: The one that holds the id.
        limit: Only so many records, from the first.
        max_length: Longer texts, in code points, count as error records.
        allow_private: Whether a URL may lead into the own network, or be redirected elsewhere.
        fitted_config: Weights are learned from the answers and written, with the rest of the
            run's config, to this file.
        first: A spaCy pipeline that the run's classifier could ask before the Llama, as its
            setting `first`: it is asked now, and a threshold is proposed.
        wanted_accuracy: What the two have to reach together; None for the Llama's own accuracy.

    Returns:
        Plain JSON: `answers`, `summaries`, `labels`, `entities`, `values` and `annotation`, each
        null where there is nothing to compare, `warnings`, `fits` (null without `fitted_config`)
        and `cascade` (null without `first`; else a `CascadeReport` and the `component`). A mean
        is `{"value", "low", "high", "n"}`. `labels` has `unknown` (null, or `n` documents whose
        `labels`, each with its count, are none of the `run_labels`), which its accuracy leaves out.

    Raises:
        UnknownKeyword: There is no argument of that name; the message says which is near.
        NoReferences: The corpus holds none.
        NoReviews: The run whose reviews are wanted has none.
        NothingToCompare: The run has nothing that there are references for.
        NothingToFit: Weights are to be learned and there are too few labelled answers.
        NoCascade: `first` is given, and the run or the corpus has no labels.
        RunHasFirst: The run itself is one of a cascade.
        RougeMissing: The extra is needed and not installed.
    """
    bootstrap = bootstrap or Bootstrap()
    if wanted_accuracy is not None and not 0 <= wanted_accuracy <= 1:
        raise WantedAccuracyInvalid(wanted_accuracy)
    gold: dict[str, ConlluDocument] = {}
    warnings: list[str] = []
    if is_run(corpus):
        references, warnings = read_review_references(Path(run), Path(corpus))
    else:
        reading: dict[str, Any] = {"text_key": text_key, "id_key": id_key, "limit": limit}
        reading |= {"max_length": max_length, "on_warning": lambda _: None}
        manifest = read_manifest(Path(run))
        reading |= {"named_by_stem": named_by_stem(manifest), "known_files": known_inputs(manifest)}
        store = RemoteStore(allow_private=allow_private)
        items = list(read_corpus(corpus, **reading, store=store))
        references = read_references(items)
        gold = _gold(corpus, [item for item in items if isinstance(item, Record)], store)
        if not references and not gold:
            raise NoReferences(str(corpus))
    names = ["documents", "answers", "summaries", "categories"]
    names += ["tokens", "entities"] if gold or references.entities else []
    names += ["extraction_fields"] if references.values or references.wrong_values else []
    tables = read_run(run, names)
    annotation, more_warnings = _annotation(tables, gold)
    labels = _labels(tables, references, bootstrap)
    report = {
        "answers": _answers(tables, references, bootstrap),
        "summaries": _summaries(tables["summaries"], references, bootstrap) if with_rouge else None,
        "labels": labels,
        "entities": entity_score(tables, references, bootstrap),
        "values": value_score(tables, references, bootstrap),
        "annotation": annotation,
    }
    if labels is not None and labels["unknown"]:
        more_warnings = [*more_warnings, unknown_labels(**labels["unknown"])]
    if not any(report.values()):
        raise NothingToCompare(str(corpus), str(run))
    fits = None
    if fitted_config is not None:
        learned = fit_components(
            Path(run),
            _rows(tables["answers"]),
            _rows(read_run(run, "answer_candidates")["answer_candidates"]),
            references=references,
            file=fitted_config,
        )
        write_fitted_config(Path(run), learned, fitted_config)
        fits = {name: asdict(fit) for name, fit in learned.items()}
    cascade = None
    if first is not None:
        component, cases = cascade_cases(Path(run), first, references, str(corpus))
        judged = judge_cascade(cases, wanted_accuracy, bootstrap)
        cascade = {"component": component, "first": first, **asdict(judged)}
    facts = {"corpus": str(corpus), "run": str(run), **asdict(bootstrap)}
    warnings = [*warnings, *more_warnings]
    return {**facts, **report, "warnings": warnings, "fits": fits, "cascade": cascade}


def _answers(
    tables: dict[str, pd.DataFrame], references: References, bootstrap: Bootstrap
) -> dict[str, Any] | None:
    documents = tables["documents"]
    lengths = dict(zip(documents["document_id"], _plain(documents["n_tokens"]), strict=True))
    results = outcomes(_rows(tables["answers"]), references, lengths)
    if not results:
        return None
    curve = reliability(results)
    return {
        "overall": _measures(results, bootstrap),
        "by_type": _split(results, lambda o: o.kind, bootstrap),
        "by_length": _split(results, lambda o: o.length, bootstrap, LENGTHS),
        "thresholds": {
            measure: asdict(advice) if (advice := advised_threshold(results, measure)) else None
            for measure in MEASURES
        },
        "reliability": asdict(curve) if curve else None,
    }


def _measures(results: Sequence[Outcome], bootstrap: Bootstrap) -> dict[str, Any]:
    """All means over some outcomes; null where there is no question of that kind."""
    answerable = [o for o in results if o.answerable]
    unanswerable = [o for o in results if o.answerable is False]
    columns: dict[str, tuple[Sequence[Outcome], Callable[[Outcome], float]]] = {
        "exact_match": (results, lambda o: o.exact_match),
        "f1": (results, lambda o: o.f1),
        "exact_match_of_answerable": (answerable, lambda o: o.exact_match),
        "f1_of_answerable": (answerable, lambda o: o.f1),
        "answered_of_answerable": (answerable, lambda o: float(o.status == "ok")),
        "no_answer_accuracy": (unanswerable, lambda o: float(o.status == "no_answer")),
    }
    return {
        "n": len(results),
        "failed": sum(o.status == "error" for o in results),
        **{
            name: _mean(chosen_results, value, bootstrap)
            for name, (chosen_results, value) in columns.items()
        },
    }


def _mean(
    results: Sequence[Outcome], value: Callable[[Outcome], float], bootstrap: Bootstrap
) -> dict[str, Any] | None:
    estimate = bootstrap.mean([value(o) for o in results], [o.document_id for o in results])
    return asdict(estimate) if estimate else None


def _split(
    results: Sequence[Outcome],
    key: Callable[[Outcome], str],
    bootstrap: Bootstrap,
    order: Iterable[str] = (),
) -> dict[str, Any]:
    """The means by kind: in the order given, else the commonest first."""
    groups: dict[str, list[Outcome]] = {name: [] for name in order}
    for outcome in results:
        groups.setdefault(key(outcome), []).append(outcome)
    names = [name for name, members in groups.items() if members]
    if not order:
        names.sort(key=lambda name: (-len(groups[name]), name))
    return {name: _measures(groups[name], bootstrap) for name in names}


def _summaries(
    table: pd.DataFrame, references: References, bootstrap: Bootstrap
) -> dict[str, Any] | None:
    rows = [row for row in _rows(table) if row["document_id"] in references.summaries]
    if not rows:
        return None
    ids = [row["document_id"] for row in rows]
    scores = [rouge(row["summary"] or "", references.summaries[row["document_id"]]) for row in rows]
    means = {key: bootstrap.mean([score[key] for score in scores], ids) for key in KEYS}
    return {"n": len(rows), **{key: asdict(mean) for key, mean in means.items() if mean}}


def _labels(
    tables: dict[str, pd.DataFrame], references: References, bootstrap: Bootstrap
) -> dict[str, Any] | None:
    """Whether the label with the highest score is one of those that are right.

    A document whose labels the run does not know can be neither right nor wrong: `unknown`.
    """
    best: dict[str, dict[str, Any]] = {}
    rows = _rows(tables["categories"])
    for row in rows:
        name = row["document_id"]
        is_judged = name in references.labels or name in references.wrong_labels
        if is_judged and row["score"] > best.get(name, {"score": -1.0})["score"]:
            best[name] = row
    if not best:
        return None
    ran = set(tables["documents"]["document_id"])
    labelled = {name: labels for name, labels in references.labels.items() if name in ran}
    run_labels = scored_labels(rows)
    unknown_ids, counts = documents_of_other_labels(labelled, run_labels)
    # A document that got no label at all counts as wrong.
    ids = [name for name in labelled if name not in unknown_ids]
    right = [float(name in best and best[name]["label"] in references.labels[name]) for name in ids]
    for name, wrong in references.wrong_labels.items():
        if name in best and best[name]["label"] in wrong:
            ids.append(name)
            right.append(0.0)
    mean = bootstrap.mean(right, ids)
    unknown = {"n": len(unknown_ids), "labels": counts, "run_labels": sorted(run_labels)}
    return {
        "n": len(ids),
        "accuracy": asdict(mean) if mean else None,
        "unknown": unknown if unknown_ids else None,
    }


def _gold(
    corpus: str | Path, records: Sequence[Record], store: RemoteStore
) -> dict[str, ConlluDocument]:
    """The gold annotations by document id."""
    if is_data_set(corpus):
        return {}
    lines = {
        (file.source, document.line): document
        for file in find_sources(corpus, store=store).files
        if file.format == "conllu"
        for document in conllu_documents(file)
    }
    return {r.id: lines[r.source, r.line] for r in records if (r.source, r.line) in lines}


def _annotation(
    tables: dict[str, pd.DataFrame], gold: dict[str, ConlluDocument]
) -> tuple[dict[str, float] | None, list[str]]:
    if not gold:
        return None, []
    from nlp_pipeline.evaluation.annotation import annotation_scores

    languages = tables["documents"]["language"].dropna()
    language = languages.iloc[0] if len(languages) else "xx"
    scores, warnings = annotation_scores(gold, tables, language)
    return scores or None, warnings


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows with None for what is missing."""
    columns = {name: _plain(table[name]) for name in table.columns}
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def _plain(column: pd.Series[Any]) -> list[Any]:
    return column.astype(object).where(column.notna(), None).tolist()
