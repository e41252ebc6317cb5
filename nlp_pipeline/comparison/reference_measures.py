"""Two runs against what is right: by a corpus, or by what people have reviewed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from nlp_pipeline.comparison.generated_values import RunValues
from nlp_pipeline.comparison.paired_tests import paired_measures
from nlp_pipeline.corpus import read_corpus
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.evaluation import NoReferences
from nlp_pipeline.errors.review import NoReviews
from nlp_pipeline.evaluation.bootstrap import Bootstrap
from nlp_pipeline.evaluation.outcomes import Outcome, outcomes
from nlp_pipeline.evaluation.references import References, read_references
from nlp_pipeline.evaluation.review_references import read_review_references
from nlp_pipeline.run_folder.read import is_run, run_manifest
from nlp_pipeline.runner.manifest import known_inputs, named_by_stem


def read_judgements(runs: tuple[Path, Path], source: str | Path | None) -> tuple[References, str]:
    """What is right, and who says so: `corpus` or `reviews`.

    Raises:
        NoReferences: A corpus was given that says nothing.
        NoReviews: A run was given that nobody has reviewed.
    """
    if source is not None and is_run(source):
        return read_review_references(runs[0], Path(source))[0], "reviews"
    references = _corpus_references(runs[0], source)
    if not references and source is None:
        with suppress(NoReviews):
            return read_review_references(runs[0], *dict.fromkeys(runs))[0], "reviews"
    return references, "corpus"


def _corpus_references(run: Path, corpus: str | Path | None) -> References:
    manifest = run_manifest(run)
    source = manifest.get("corpus") if corpus is None else corpus
    names = ("text_key", "id_key", "max_length")
    reading = {n: v for n, v in manifest.get("fingerprint", {}).items() if n in names}
    try:
        items = read_corpus(
            str(source),
            **reading,
            on_warning=lambda _: None,
            named_by_stem=named_by_stem(manifest),
            known_files=known_inputs(manifest),
        )
        references = read_references(items) if str(source) != "-" else References()
    except NlpPipelineError:
        if corpus is not None:
            raise
        return References()  # it is no longer where it was
    if corpus is not None and not references:
        raise NoReferences(str(corpus))
    return references


def measures_of_runs(
    references: References,
    source: str,
    runs: tuple[RunValues, RunValues],
    shared: Iterable[str],
    bootstrap: Bootstrap,
) -> dict[str, Any] | None:
    """How both do against the references: in all, by question, and the labels."""
    documents = set(shared)
    a, b = (outcomes(_answer_rows(run, documents), references, run.lengths) for run in runs)
    overall = paired_measures(a, b, bootstrap)
    labels_a, labels_b = (list(_label_outcomes(run, documents, references)) for run in runs)
    labels = paired_measures(labels_a, labels_b, bootstrap)
    if overall is None and labels is None:
        return None
    questions = dict.fromkeys(outcome.question_id for outcome in a)
    by_question = {
        question: paired_measures(
            [o for o in a if o.question_id == question],
            [o for o in b if o.question_id == question],
            bootstrap,
        )
        for question in questions
    }
    measured = {question: m for question, m in by_question.items() if m}
    return {"source": source, "overall": overall, "by_question": measured, "labels": labels}


def _label_outcomes(
    run: RunValues, documents: set[str], references: References
) -> Iterator[Outcome]:
    """Whether the likeliest label that a classifier has chosen is right.

    One that was rejected without a better one is wrong, and of another nothing is known.
    """
    keys = [key for key in run.values if key.table == "classifications"]
    for key in keys:
        # The only classifier of a run is compared with that of the other, whatever its name.
        name = key.component if len(keys) > 1 else ""
        for document_id, value in run.values[key].items():
            right = references.labels.get(document_id)
            label = value.labels[0] if value.labels else None
            wrong = references.wrong_labels.get(document_id, ())
            if document_id not in documents or (right is None and label not in wrong):
                continue
            score = float(label in (right or ()))
            yield Outcome(
                *(document_id, name),
                kind="label",
                length="",
                answerable=True,
                status=value.status,
                score=None,
                exact_match=score,
                f1=score,
            )


def _answer_rows(run: RunValues, documents: set[str]) -> Iterator[dict[str, Any]]:
    """The answers as rows of their table, as far as references are compared with them."""
    for key, values in run.values.items():
        for name, value in values.items() if key.table == "answers" else ():
            if name in documents:
                yield {
                    "document_id": name,
                    "question_id": key.question_id,
                    "question": value.question or "",
                    "status": value.status,
                    "answer": value.text,
                    "sum_logprob": value.score,
                }
