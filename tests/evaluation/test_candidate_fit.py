"""Weights of candidates: learned where they are wrong, left where they are right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from spacy.util import load_config

from nlp_pipeline.components.answer_features import DEFAULT_WEIGHTS, FEATURE_NAMES
from nlp_pipeline.evaluation.candidate_fit import CandidateFit, fit_candidates, labelled_candidates
from nlp_pipeline.evaluation.fitted_config import fit_components, write_fitted_config
from nlp_pipeline.evaluation.references import References

N_CANDIDATES = 4


def candidate_rows(n: int = 200) -> tuple[list[dict[str, Any]], References]:
    """Candidates of which the one with the most overlap is right; every third question has none.

    The run has ranked them by the model's log-probability, which says nothing here.
    """
    draws, references = np.random.default_rng(4), References()
    rows: list[dict[str, Any]] = []
    for number in range(n):
        key = f"d{number // 2}", f"q{number}"
        references.answers[key] = () if number % 3 == 0 else ("right",)
        overlaps = draws.random(N_CANDIDATES)
        for rank, logprob in enumerate(sorted(draws.normal(-3, 1, N_CANDIDATES), reverse=True)):
            is_right = number % 3 and rank == overlaps.argmax()
            rows.append(
                {
                    **dict.fromkeys(FEATURE_NAMES, 0.0),
                    "document_id": key[0],
                    "question_id": key[1],
                    "component": "llama_qa",
                    "rank": rank,
                    "text": "right" if is_right else f"wrong {rank}",
                    "logprob": logprob,
                    "near_overlap": overlaps[rank],
                }
            )
    return rows, references


BY_LOGPROB = {**dict.fromkeys(FEATURE_NAMES, 0.0), "logprob": 1.0}


def fit_of(rows: list[dict[str, Any]], references: References, **weights: float) -> Any:
    return fit_candidates(labelled_candidates(rows, references), {**BY_LOGPROB, **weights})


def test_learns_what_the_right_candidates_have() -> None:
    fit = fit_of(*candidate_rows())
    assert list(fit.weights) == list(FEATURE_NAMES)
    assert fit.weights["near_overlap"] > 5 * abs(fit.weights["logprob"])
    assert fit.weights["votes"] == 0, "what never changes keeps its weight"
    assert fit.exact_match_of_run < 0.5 < 0.8 < fit.exact_match
    assert fit.is_better
    assert 40 < fit.n < 100, "answerable questions of the half that it was not learned on"
    assert fit == fit_of(*candidate_rows()), "the same at every run"


def test_weights_that_are_right_are_no_worse_for_it() -> None:
    fit = fit_of(*candidate_rows(), near_overlap=1e6)
    assert (fit.exact_match_of_run, fit.is_better) == (1.0, False)


def test_the_order_of_the_rows_does_not_matter() -> None:
    rows, references = candidate_rows()
    by_rank = sorted(rows, key=lambda row: (row["document_id"], row["question_id"], -row["rank"]))
    fit = fit_of(rows, references)
    assert fit_of(by_rank, references).exact_match == fit.exact_match


def test_too_few_questions() -> None:
    reason = fit_of(*candidate_rows(30))
    assert reason.startswith("candidate_weights needs 20 questions with a right and a wrong cand")
    assert reason.endswith("`--set components.llama_qa.keep_candidates=true`.")


CONFIG = '[components]\n[components.llama_qa]\nfactory = "llama_qa"\n'


def answer_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    judged = ("log_share", "coverage", "opposites", "negation", "missing_numbers")
    return [
        {
            **{key: row[key] for key in ("document_id", "question_id", "component")},
            **dict.fromkeys(judged, 0.0),
            "answer": row["text"],
            "candidate_score": row["logprob"],
            "no_answer_prob": 0.1,
            "answerable": 0.5,
            "confidence": 0.5,
        }
        for row in rows
        if row["rank"] == 0
    ]


def test_better_candidates_come_before_what_is_learned_from_their_scores(tmp_path: Path) -> None:
    rows, references = candidate_rows()
    config = CONFIG + f"candidate_weights = {json.dumps(BY_LOGPROB)}\n"
    (tmp_path / "config.cfg").write_text(config, encoding="utf-8")
    file = tmp_path / "mine.cfg"
    fits = fit_components(tmp_path, answer_rows(rows), rows, references=references, file=file)
    fit = fits["llama_qa"]
    assert isinstance(fit.candidates, CandidateFit)
    assert fit.fits == {}
    reason = fit.reasons["confidence_weights"]
    assert "run the corpus once more with `-p " in reason
    assert reason.endswith("and fit that run.")
    write_fitted_config(tmp_path, fits, file)
    component = load_config(file)["components"]["llama_qa"]
    assert component["candidate_weights"] == fit.candidates.weights != DEFAULT_WEIGHTS
    assert "confidence_weights" not in component


def test_without_candidates_the_other_settings_are_learned(tmp_path: Path) -> None:
    rows, references = candidate_rows()
    (tmp_path / "config.cfg").write_text(CONFIG, encoding="utf-8")
    fits = fit_components(
        tmp_path, answer_rows(rows), [], references=references, file=tmp_path / "mine.cfg"
    )
    fit = fits["llama_qa"]
    assert fit.candidates is None
    assert set(fit.fits) == {"no_answer_weights", "confidence_weights"}
    assert "and there are 0 and 0" in fit.reasons["candidate_weights"]
