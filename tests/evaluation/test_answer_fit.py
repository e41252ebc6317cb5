from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spacy.util import load_config

from nlp_pipeline.components.answerability import ANSWER_FEATURES
from nlp_pipeline.evaluation.answer_fit import (
    OF_SCORES,
    AnswerFit,
    fit_answers,
    labelled_answers,
)
from nlp_pipeline.evaluation.references import References
from nlp_pipeline.run_folder.read import read_run


def rows(n: int = 240) -> tuple[list[dict[str, Any]], References]:
    """Answers: the higher the score the likelier right; negation tells what has none."""
    draws = np.random.default_rng(2)
    references, table = References(), []
    for number in range(n):
        score, has_answer = float(draws.normal(3, 2)), number % 3 != 0
        right = has_answer and draws.random() < 1 / (1 + np.exp(-(score - 2)))
        key = f"d{number // 2}", f"q{number}"
        references.answers[key] = ("right",) if has_answer else ()
        table.append(
            {
                "document_id": key[0],
                "question_id": key[1],
                "answer": "right" if right else "wrong",
                "candidate_score": score,
                "no_answer_prob": 0.01,
                "log_share": float(draws.normal(-1, 0.1)),
                "coverage": float(draws.random()),
                "opposites": 0.0,
                "negation": float(not has_answer and draws.random() < 0.7),
                "missing_numbers": 0.0,
                "answerable": float(draws.random()),
                "confidence": float(draws.random()),
            }
        )
    return table, references


def fit_of(table: list[dict[str, Any]], references: References) -> AnswerFit:
    return fit_answers(labelled_answers(table, references))


def test_learns_which_questions_have_no_answer() -> None:
    fit = fit_of(*rows()).fits["no_answer_weights"]
    assert fit.weights["negation"] < -1
    assert fit.weights["opposites"] == 0, "what never changes says nothing"
    assert fit.auroc_of_run < 0.65 < 0.75 < fit.auroc


def test_learns_how_likely_an_answer_is_right() -> None:
    fit = fit_of(*rows()).fits["confidence_weights"]
    assert 0.3 < fit.weights["score"] < 2
    assert fit.auroc > 0.8
    assert fit.error < 0.15 < fit.error_of_run
    assert fit.is_better
    assert 80 < fit.n < 160, "those of the half that it was not learned on"
    assert set(fit.weights) <= {*ANSWER_FEATURES, "bias"}
    assert fit_of(*rows()).fits["confidence_weights"] == fit, "the same at every run"


def test_what_the_run_has_taken_for_none_teaches_no_confidence() -> None:
    table, references = rows()
    for row in table:
        if row["negation"]:
            row["answer"] = None
    answers = labelled_answers(table, references)
    assert sum(answer.right is None for answer in answers) == sum(r["negation"] for r in table)
    fit = fit_answers(answers)
    assert fit.fits["confidence_weights"].n < fit.fits["no_answer_weights"].n


def test_answers_without_features_or_references_are_left_out() -> None:
    table, references = rows(6)
    table[0]["candidate_score"] = None
    del references.answers["d0", "q1"]
    assert len(labelled_answers(table, references)) == 4


def test_one_kind_alone_teaches_the_other_setting_only() -> None:
    table, references = rows()
    references.answers = dict.fromkeys(references.answers, ("right",))
    fit = fit_of(table, references)
    assert list(fit.fits) == ["confidence_weights"]
    assert fit.reasons["no_answer_weights"].startswith(
        "no_answer_weights needs 10 questions with an answer in their text and without in each "
        "half of the documents, and there are "
    )
    assert " and 0 in one, " in fit.reasons["no_answer_weights"]


@pytest.mark.parametrize("n", [0, 12])
def test_too_few_questions(n: int) -> None:
    fit = fit_of(*rows(n))
    assert (fit.fits, set(fit.reasons)) == ({}, set(OF_SCORES))


def test_weights_that_serve_no_better_are_marked() -> None:
    """The run knew the answers."""
    table, references = rows()
    for row in table:
        row["confidence"] = float(row["answer"] == "right")
    assert not fit_of(table, references).fits["confidence_weights"].is_better


def labelled_records(n: int) -> list[dict[str, Any]]:
    """Documents whose first word, which the echo answers, is right in every other one."""
    return [
        {
            "id": f"d{number}",
            "text": f"{'Oslo' if number % 2 else 'Bergen'} lies by the sea. It rains there often.",
            "questions": [
                {"id": "place", "text": "Which town lies by the sea?", "answers": ["Oslo"]},
                {"id": "none", "text": "Which town never lies by the sea?", "answers": []},
            ],
        }
        for number in range(n)
    ]


def test_the_command_writes_a_config_that_runs(
    tmp_path: Path, corpus: Callable[..., str], cli: Callable[..., Any], quick: Callable[..., str]
) -> None:
    settings = 'factory = "llama_qa"\nmode = "extractive"\nanswerable_threshold = 0.0\n'
    settings += 'no_answer_margin = 1e9\nno_answer_weights = {"bias": 1.0}\n'
    config = Path(quick())
    text = config.read_text().replace('factory = "llama_qa"\n', settings)
    config.write_text(text.replace('lang = "xx"', 'lang = "en"'))  # whose negations are known
    path, fitted = corpus(*labelled_records(80)), tmp_path / "fitted.cfg"
    options = ("-p", config, "--out", tmp_path / "out", "--quiet", "--resamples", 20)
    done = cli("evaluate", path, *options, "--fit", fitted)
    assert done.code == 0, done.err
    assert "Learned on half of the documents, tried on the other half" in done.out
    assert f"Wrote {fitted}: `nlp-pipeline run CORPUS -p {fitted}` uses it." in done.err
    weights = load_config(fitted)["components"]["llama_qa"]["no_answer_weights"]
    assert weights["negation"] < -1
    again = cli("run", path, "-p", fitted, "--out", tmp_path / "again", "--limit", 2, "--quiet")
    assert again.code == 0, again.err
    answers = read_run(tmp_path / "again", ("answers",))["answers"]
    assert answers[answers["question_id"] == "none"]["answerable"].max() < 0.5
    assert answers[answers["question_id"] == "place"]["answerable"].min() > 0.5


def test_the_command_says_what_is_missing(
    tmp_path: Path, corpus: Callable[..., str], cli: Callable[..., Any], quick: Callable[..., str]
) -> None:
    path, fitted = corpus(*labelled_records(2)), tmp_path / "fitted.cfg"
    done = cli(
        "evaluate", path, "-p", quick(), "--out", tmp_path / "out", "--quiet", "--fit", fitted
    )
    assert done.code == 1
    assert "No weights can be learned from this run." in done.err
    assert "answered in the extractive mode" in done.err
    assert not fitted.exists()
