"""`compare_runs`: the answers of two runs to the same questions about the same documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlp_pipeline.comparison.generated_values import (
    GeneratedValue,
    RunValues,
    ValueKey,
    read_values,
)
from nlp_pipeline.comparison.reference_measures import measures_of_runs, read_judgements
from nlp_pipeline.components.answer_overlap import f1
from nlp_pipeline.errors.comparison import NothingShared
from nlp_pipeline.evaluation.bootstrap import Bootstrap
from nlp_pipeline.keywords import known_keywords
from nlp_pipeline.run_folder.read import run_manifest
from nlp_pipeline.run_folder.status import run_status

COUNTS = (
    *("same", "changed", "appeared", "vanished", "newly_grounded", "no_longer_grounded"),
    *("only_a", "only_b"),
)
"""What is counted of each kind: a pair is one of the first four; the next two are among them."""


@dataclass(frozen=True)
class ValuePair:
    """What two runs say of one kind about one document, where it is not the same.

    Attributes:
        key: The kind, by the name of its component in A.
        outcome: `changed`, `appeared` or `vanished`.
        a: In the first run.
        b: In the second.
    """

    key: ValueKey
    outcome: str
    a: GeneratedValue
    b: GeneratedValue

    @property
    def distance(self) -> float:
        """How different they are: 1 less the words that they share (F1)."""
        if self.a.text is None or self.b.text is None:
            return 1.0
        return 1.0 - f1(self.b.text, (self.a.text,))


@dataclass(frozen=True)
class DocumentDifference:
    """A document about which two runs say different things.

    Attributes:
        document_id: The document.
        pairs: What is different.
    """

    document_id: str
    pairs: tuple[ValuePair, ...]

    @property
    def distance(self) -> float:
        """The sum over its pairs."""
        return sum(pair.distance for pair in self.pairs)


@dataclass(frozen=True)
class RunComparison:
    """Two runs, A and B, side by side.

    Attributes:
        runs: Of `a` and `b`: path, state, corpus, pipeline, models, documents, tokens, pace.
        documents: How many are `shared`, `only_a`, `only_b`, and how many have the same id and
            not the same text (`changed_texts`), which are not compared.
        values: Per question and component: `table`, `component`, `question_id`, `question` and
            the counts of `COUNTS`.
        references: Of answers (`overall` and `by_question`) and `labels`: see `paired_measures`,
            None for what has none; and who says what is right, as `source`: `corpus` or
            `reviews`. None without any.
        differences: The documents that differ, those that differ most first.
    """

    runs: dict[str, dict[str, Any]]
    documents: dict[str, int]
    values: list[dict[str, Any]]
    references: dict[str, Any] | None
    differences: list[DocumentDifference]

    def as_dict(self, limit: int | None = None) -> dict[str, Any]:
        """Plain JSON values.

        Args:
            limit: So many of the documents that differ; all by default.
        """
        return {
            "runs": self.runs,
            "documents": self.documents,
            "values": self.values,
            "references": self.references,
            "differences": [_difference_dict(d) for d in self.differences[:limit]],
        }


@known_keywords
def compare_runs(
    run_a: str | Path,
    run_b: str | Path,
    *,
    references: str | Path | None = None,
    bootstrap: Bootstrap | None = None,
) -> RunComparison:
    """Compares what two runs say about the documents that they share.

    A document is shared where its id and its text are the same. Of a run that is going on the
    finished parts are compared.

    Args:
        run_a: A run's folder.
        run_b: Another one's.
        references: A corpus that says what is right, or a run whose reviews do; by default the
            corpus of the first run, where it is still there and says so, else what people have
            reviewed of both runs.
        bootstrap: How intervals are drawn.

    Raises:
        UnknownKeyword: There is no argument of that name; the message says which is near.
        RunNotFound: A folder holds no run.
        NothingShared: The runs have no document in common.
        NoReferences: The corpus that was given says nothing of what is right.
        NoReviews: The run that was given as references has none.
    """
    folders = (Path(run_a), Path(run_b))
    a, b = (read_values(folder) for folder in folders)
    common_ids = [name for name in a.texts if name in b.texts]
    shared = [name for name in common_ids if a.texts[name] == b.texts[name]]
    if not shared:
        raise NothingShared(str(run_a), str(run_b), [len(a.texts), len(b.texts)])
    renamed = _same_components(a, b)
    pairs: dict[str, list[ValuePair]] = {}
    rows = [_count(key, keys, (a, b), shared, pairs) for key, *keys in _all_keys(a, b, renamed)]
    differences = [DocumentDifference(name, tuple(pairs[name])) for name in shared if name in pairs]
    differences.sort(key=lambda difference: -difference.distance)
    return RunComparison(
        runs={name: _facts(f, v) for name, f, v in zip("ab", folders, (a, b), strict=True)},
        documents={
            "shared": len(shared),
            "changed_texts": len(common_ids) - len(shared),
            "only_a": len(a.texts) - len(common_ids),
            "only_b": len(b.texts) - len(common_ids),
        },
        values=rows,
        references=measures_of_runs(
            *read_judgements(folders, references), (a, b), shared, bootstrap or Bootstrap()
        ),
        differences=differences,
    )


def _same_components(a: RunValues, b: RunValues) -> dict[tuple[str, str], str]:
    """What the only component of a table in A is called in B, where that has one as well."""
    names: dict[tuple[str, str], str] = {}
    for table in {key.table for key in a.values} & {key.table for key in b.values}:
        of_a, of_b = (
            sorted({key.component for key in run.values if key.table == table}) for run in (a, b)
        )
        if len(of_a) == len(of_b) == 1:
            names[table, of_a[0]] = of_b[0]
    return names


def _all_keys(
    a: RunValues, b: RunValues, renamed: Mapping[tuple[str, str], str]
) -> Iterator[tuple[ValueKey, ValueKey, ValueKey]]:
    """Every kind: as it is called, in A and in B."""
    keys_of_a = set()
    for key in a.values:
        key_b = key._replace(component=renamed.get((key.table, key.component), key.component))
        keys_of_a.add(key_b)
        yield key, key, key_b
    for key in b.values:
        if key not in keys_of_a:
            yield key, key, key


def _count(
    key: ValueKey,
    keys: Iterable[ValueKey],
    runs: tuple[RunValues, RunValues],
    shared: Iterable[str],
    pairs: dict[str, list[ValuePair]],
) -> dict[str, Any]:
    """Counts the pairs of one kind, and adds those that differ to their documents."""
    values_a, values_b = (run.values.get(k, {}) for run, k in zip(runs, keys, strict=True))
    counts = Counter(dict.fromkeys(COUNTS, 0))
    question = None
    for name in shared:
        a, b = values_a.get(name), values_b.get(name)
        if a is None or b is None:
            counts["only_a"] += a is not None
            counts["only_b"] += b is not None
            question = question or (a or b or _NO_VALUE).question
            continue
        question = question or b.question
        outcome = value_outcome(a, b)
        counts[outcome] += 1
        counts["newly_grounded"] += b.is_grounded and not a.is_grounded
        counts["no_longer_grounded"] += a.is_grounded and not b.is_grounded
        if outcome != "same":
            pairs.setdefault(name, []).append(ValuePair(key, outcome, a, b=b))
    return {**key._asdict(), "question": question, **counts}


_NO_VALUE = GeneratedValue("no_answer", None)


def value_outcome(a: GeneratedValue, b: GeneratedValue) -> str:
    """One of the first four of `COUNTS`."""
    if a.status == b.status and a.text == b.text:
        return "same"
    if (a.text is None) == (b.text is None):
        return "changed"  # another text, or an error in place of no answer
    return "appeared" if a.text is None else "vanished"


def _facts(folder: Path, run: RunValues) -> dict[str, Any]:
    manifest, status = run_manifest(folder), run_status(folder)
    models = [g.get("model") for g in manifest.get("fingerprint", {}).get("generators", [])]
    return {
        "run": str(folder),
        "state": status.state,
        "corpus": manifest.get("corpus"),
        "pipeline": manifest.get("pipeline"),
        "models": sorted({str(model) for model in models if model}),
        "documents": len(run.texts),
        "failed": status.failed,
        **run.tokens,
        "seconds": status.seconds,
        "documents_per_second": status.documents_per_second,
    }


def _difference_dict(difference: DocumentDifference) -> dict[str, Any]:
    return {
        "document_id": difference.document_id,
        "distance": round(difference.distance, 4),
        "values": [
            {
                **pair.key._asdict(),
                "question": pair.a.question or pair.b.question,
                "outcome": pair.outcome,
                "a": _value_dict(pair.a),
                "b": _value_dict(pair.b),
            }
            for pair in difference.pairs
        ],
    }


def _value_dict(value: GeneratedValue) -> dict[str, Any]:
    start, end = value.place or (None, None)
    return {
        "status": value.status,
        "text": value.text,
        "alignment": value.alignment,
        "start_char": start,
        "end_char": end,
        "evidence": list(value.evidence),
    }
