"""Two runs side by side: what is counted, what is shown, what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline import compare_runs, review_run, run
from nlp_pipeline.comparison import RunComparison, write_comparison
from nlp_pipeline.comparison.generated_values import GeneratedValue, RunValues, ValueKey
from nlp_pipeline.comparison.paired_tests import mcnemar
from nlp_pipeline.comparison.reference_measures import measures_of_runs
from nlp_pipeline.comparison.run_comparison import value_outcome
from nlp_pipeline.errors.comparison import NothingShared
from nlp_pipeline.errors.evaluation import NoReferences
from nlp_pipeline.errors.review import NoReviews
from nlp_pipeline.evaluation.bootstrap import Bootstrap
from nlp_pipeline.evaluation.references import References

TEMPLATE = "{% block user %}{{ question }} {{ text }}{% endblock %}"
CONFIG = """\
[nlp]
lang = "en"
pipeline = ["sentencizer", "llama_qa"]

[components]

[components.sentencizer]
factory = "sentencizer"

[components.llama_qa]
factory = "llama_qa"
template = "{template}"
max_new_tokens = {n}
questions = {questions}

[components.llama_qa.generator]
@llama_generators = "nlp_pipeline.echo.v1"
fail_on = "UNSPEAKABLE"
"""
"""The answer is the last words of the text."""

RECORDS: list[dict[str, Any]] = [
    {"id": "one", "text": "It was Ada", "answers": {"who": "Ada", "where": None}},
    {"id": "two", "text": "It was Grace Hopper", "answers": {"who": "Grace Hopper"}},
    {"id": "three", "text": "Someone UNSPEAKABLE"},
    {
        "id": "emoji",
        "text": "A 😀 here.\nSo wrote Mary Shelley",
        "answers": {"who": "Mary Shelley"},
    },
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a run: the answer is so many of the last words."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "last.jinja").write_text(TEMPLATE, encoding="utf-8")
    done: dict[str, Path] = {}

    def make(n: int, records: list[dict[str, Any]] | None = None, *questions: str) -> Path:
        name = f"{n}-{abs(hash(json.dumps([records, questions])))}"
        if name not in done:
            asked = [{"id": q, "text": f"{q.title()} was it?"} for q in questions or ("who",)]
            text = CONFIG.format(template=folder / "last.jinja", n=n, questions=json.dumps(asked))
            (folder / f"{name}.cfg").write_text(text, encoding="utf-8")
            lines = [json.dumps(record) for record in records or RECORDS]
            (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
            done[name] = folder / name
            run(folder / f"{name}.jsonl", done[name], pipeline=str(folder / f"{name}.cfg"))
        return done[name]

    return make


@pytest.fixture(scope="module")
def comparison(runs: Callable[..., Path]) -> RunComparison:
    """One word against two."""
    return compare_runs(runs(1), runs(2))


def counts(comparison: RunComparison, place: int = 0) -> dict[str, Any]:
    return {name: n for name, n in comparison.values[place].items() if n and isinstance(n, int)}


def test_a_run_beside_itself_is_the_same(runs: Callable[..., Path]) -> None:
    comparison = compare_runs(runs(1), runs(1))
    assert counts(comparison) == {"same": 4}
    assert comparison.differences == []


def test_what_changed_is_counted_and_the_most_different_comes_first(
    comparison: RunComparison,
) -> None:
    assert counts(comparison) == {"same": 1, "changed": 3}
    assert comparison.documents == {"shared": 4, "changed_texts": 0, "only_a": 0, "only_b": 0}
    by_document = {d.document_id: d for d in comparison.differences}
    assert set(by_document) == {"one", "two", "emoji"}
    (pair,) = by_document["two"].pairs
    assert (pair.a.text, pair.b.text, pair.outcome) == ("Hopper", "Grace Hopper", "changed")
    assert pair.distance == pytest.approx(1 / 3)
    distances = [d.distance for d in comparison.differences]
    assert distances == sorted(distances, reverse=True)


def test_references_say_which_is_better(comparison: RunComparison) -> None:
    assert comparison.references is not None
    overall = comparison.references["overall"]
    assert overall["n"] == 3
    assert overall["exact_match"]["a"] == pytest.approx(1 / 3)  # Ada
    assert overall["exact_match"]["b"] == pytest.approx(2 / 3)  # Grace Hopper, Mary Shelley
    assert overall["exact_match"]["difference"]["value"] == pytest.approx(1 / 3)
    assert (overall["better"], overall["worse"]) == (2, 1)
    assert overall["mcnemar"] == {"only_a": 1, "only_b": 2, "p": 1.0}
    assert list(comparison.references["by_question"]) == ["who"]


def test_labels_have_references_too() -> None:
    key = ValueKey("classifications", "topics", None)
    values = [
        {str(n): GeneratedValue("ok", label, labels=(label,)) for n, label in enumerate(labels)}
        for labels in (["sport", "money", "sport", "war"], ["sport", "sport", "money", "money"])
    ]
    a, b = (RunValues({}, {}, values={key: run}, tokens={}) for run in values)
    references = References(
        labels={"0": frozenset(["sport"]), "1": frozenset(["sport"]), "2": frozenset(["money"])},
        wrong_labels={"3": frozenset(["war"])},
    )
    measured = measures_of_runs(references, "reviews", (a, b), ["0", "1", "2", "3"], Bootstrap(50))
    assert measured is not None
    labels = measured["labels"]
    # Of the last document nobody has said what is right: only A is known to be wrong.
    assert (labels["n"], labels["better"], labels["worse"]) == (3, 2, 0)
    assert labels["mcnemar"] == {"only_a": 0, "only_b": 2, "p": 0.5}
    assert measured["overall"] is None


def test_mcnemar_by_the_binomial_and_the_normal_distribution() -> None:
    assert mcnemar(0, 0).p == 1.0
    assert mcnemar(1, 9).p == pytest.approx(0.021484375)
    assert mcnemar(480, 521).p == pytest.approx(0.2061, abs=1e-4)


def test_questions_of_one_run_alone_are_counted(runs: Callable[..., Path]) -> None:
    comparison = compare_runs(runs(1, None, "who", "where"), runs(1, None, "who", "when"))
    by_question = {row["question_id"]: row for row in comparison.values}
    assert by_question["who"]["same"] == 4
    assert (by_question["where"]["only_a"], by_question["when"]["only_b"]) == (4, 4)
    assert by_question["when"]["question"] == "When was it?"
    assert comparison.differences == []


def test_answers_appear_and_vanish_and_are_grounded_or_not() -> None:
    ok, none, error = (
        GeneratedValue(status, "x" if status == "ok" else None)
        for status in ("ok", "no_answer", "error")
    )
    assert [
        value_outcome(*pair) for pair in ((none, ok), (ok, none), (none, error), (error, error))
    ] == [*("appeared", "vanished", "changed", "same")]
    assert not GeneratedValue("ok", "x", alignment="none").is_grounded
    assert GeneratedValue("ok", "x", alignment="fuzzy").is_grounded


def test_other_corpora_share_what_they_share(runs: Callable[..., Path]) -> None:
    others = [RECORDS[0], {"id": "two", "text": "It was another Grace"}, {"id": "new", "text": "x"}]
    comparison = compare_runs(runs(1), runs(1, others))
    assert comparison.documents == {"shared": 1, "changed_texts": 1, "only_a": 2, "only_b": 1}
    assert counts(comparison) == {"same": 1}


def test_what_is_refused(runs: Callable[..., Path], cli: Any, corpus: Callable[..., str]) -> None:
    a, b = runs(1), runs(1, [{"id": "new", "text": "x"}])
    with pytest.raises(NothingShared) as caught:
        compare_runs(a, b)
    assert str(caught.value) == (
        f"{a} (4 documents) and {b} (1) have no document in common: none has the same id and the "
        "same text in both. Compare runs over the same corpus; of one that is going on, only "
        "finished parts are read."
    )
    with pytest.raises(NoReferences):
        compare_runs(a, a, references=corpus("Nothing is said."))
    done = cli("compare", a, "nowhere")
    assert done.code != 0
    assert "nowhere" in done.err


def test_a_corpus_that_is_gone_is_no_error(runs: Callable[..., Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(runs(1), copy)
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    manifest["corpus"] = "gone.jsonl"
    (copy / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert compare_runs(copy, runs(2)).references is None


def test_the_command(runs: Callable[..., Path], cli: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = cli("compare", runs(1), runs(2), "--page", page, "--limit", 1)
    assert done.code == 0
    assert "4 documents compared; only in A 0, only in B 0, with another text 0" in done.out
    assert "Against the references" in done.out
    assert "The documents that differ most (1 of 3)" in done.out
    assert done.err == f"Wrote {page}.\n"
    figures = json.loads(cli("compare", runs(1), runs(2), "--json").out)
    assert len(figures["differences"]) == 3
    assert figures["values"][0]["changed"] == 3


@pytest.mark.browser
def test_both_answers_light_up_in_one_text(
    comparison: RunComparison, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    page = open_page(write_comparison(comparison, tmp_path / "page.html", title="<b>Two</b>"))
    assert page.title() == "<b>Two</b>"
    page.locator(".row", has=page.get_by_text("emoji", exact=True)).click()
    page.wait_for_function("document.querySelector('#document h2').textContent === 'emoji'")
    assert page.locator(".text").evaluate("node => node.textContent") == RECORDS[3]["text"]
    page.locator(".pair").click()
    lit = "name => [...document.querySelectorAll('.in-' + name)].map(n => n.textContent).join('')"
    assert page.evaluate(lit, "a") == "Shelley"
    assert page.evaluate(lit, "b") == "Mary Shelley"
    page.click("#tab-overview")
    assert "Who was it?" in page.locator("table.counts").nth(1).inner_text()
    assert page.locator("table.counts").count() == 3


def test_reviews_of_either_run_say_which_is_better(
    runs: Callable[..., Path], cli: Any, tmp_path: Path
) -> None:
    unlabelled = [{k: v for k, v in record.items() if k != "answers"} for record in RECORDS]
    a, b = tmp_path / "a", tmp_path / "b"
    shutil.copytree(runs(1, unlabelled), a)
    shutil.copytree(runs(2, unlabelled), b)
    assert compare_runs(a, b).references is None
    with pytest.raises(NoReviews):
        compare_runs(a, b, references=a)
    answer = {"question_id": "who", "verdict": "accept"}
    for folder, names in ((a, ("one",)), (b, ("two", "emoji"))):
        lines = [json.dumps({**answer, "document_id": name}) for name in names]
        (tmp_path / "review.jsonl").write_text("\n".join(lines), encoding="utf-8")
        assert review_run(folder, tmp_path / "review.jsonl").problems == ()
    measured = compare_runs(a, b).references
    assert measured is not None
    assert (measured["source"], measured["overall"]["n"]) == ("reviews", 3)
    assert measured["overall"]["mcnemar"] == {"only_a": 1, "only_b": 2, "p": 1.0}
    assert (measured["overall"]["better"], measured["overall"]["worse"]) == (2, 1)
    only_b = compare_runs(a, b, references=b).references
    assert only_b is not None
    assert only_b["overall"]["n"] == 2
    assert "Against the reviews" in cli("compare", a, b).out


def test_a_copy_keeps_what_a_run_said_before_it_was_asked_again(
    runs: Callable[..., Path], tmp_path: Path
) -> None:
    source = tmp_path / "corpus.jsonl"
    source.write_text("".join(json.dumps(record) + "\n" for record in RECORDS), encoding="utf-8")
    config = json.loads((runs(1) / "manifest.json").read_text("utf-8"))["pipeline"]
    run(source, tmp_path / "run", pipeline=config)
    shutil.copytree(tmp_path / "run", tmp_path / "before")
    asked = json.dumps([{"id": "who", "text": "Who, in two words, was it?"}])
    settings = [f"components.llama_qa.questions={asked}", "components.llama_qa.max_new_tokens=2"]
    run(source, tmp_path / "run", pipeline=config, settings=settings)
    comparison = compare_runs(tmp_path / "before", tmp_path / "run")
    assert counts(comparison) == {"same": 1, "changed": 3}
    assert comparison.references is not None
    assert comparison.references["overall"]["better"] == 2
