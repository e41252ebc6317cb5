"""The config of a run with the weights that its labelled answers teach."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spacy.util import load_config

from nlp_pipeline.components.answer_features import DEFAULT_WEIGHTS
from nlp_pipeline.errors.evaluation import NothingToFit, learned_later
from nlp_pipeline.evaluation.answer_fit import (
    OF_SCORES,
    AnswerFit,
    fit_answers,
    labelled_answers,
)
from nlp_pipeline.evaluation.candidate_fit import CandidateFit, fit_candidates, labelled_candidates
from nlp_pipeline.evaluation.references import References
from nlp_pipeline.run_folder.files import write_text
from nlp_pipeline.run_folder.writer import CONFIG


def fit_components(
    run: Path,
    answers: Iterable[Mapping[str, Any]],
    candidates: Iterable[Mapping[str, Any]],
    *,
    references: References,
    file: Path,
) -> dict[str, AnswerFit]:
    """What the labelled answers of each component teach, by its name.

    Args:
        run: The run's folder.
        answers: Rows of the table `answers`.
        candidates: Of the table `answer_candidates`.
        references: What is right.
        file: Where the config is to be written, for messages.

    Raises:
        NothingToFit: Too few answers have references.
    """
    settings = load_config(run / CONFIG, interpolate=False)["components"]
    candidates_of, fits = _by_component(candidates), {}
    for name, rows in _by_component(answers).items():
        members = labelled_answers(rows, references)
        if not members:
            continue
        weights = {**DEFAULT_WEIGHTS, **settings[name].get("candidate_weights", {})}
        choice = fit_candidates(
            labelled_candidates(candidates_of.get(name, ()), references), weights
        )
        if isinstance(choice, CandidateFit) and choice.is_better:
            reasons = {setting: learned_later(setting, str(file)) for setting in OF_SCORES}
            fits[name] = AnswerFit(choice, reasons=reasons)
            continue
        fits[name] = fit_answers(members)
        if isinstance(choice, CandidateFit):
            fits[name].candidates = choice
        else:
            fits[name].reasons["candidate_weights"] = choice
    if not any(fit.candidates or fit.fits for fit in fits.values()):
        raise NothingToFit([reason for fit in fits.values() for reason in fit.reasons.values()])
    return fits


def _by_component(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    by_component: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_component[row["component"]].append(row)
    return by_component


def write_fitted_config(run: Path, fits: Mapping[str, AnswerFit], file: Path) -> None:
    """Writes the config of a run, with the weights that serve better than its own.

    Args:
        run: The run's folder.
        fits: By component.
        file: Where to.
    """
    config = load_config(run / CONFIG, interpolate=False)
    for component, fit in fits.items():
        if fit.candidates is not None and fit.candidates.is_better:
            config["components"][component]["candidate_weights"] = fit.candidates.weights
        for setting, learned in fit.fits.items():
            if learned.is_better:
                config["components"][component][setting] = learned.weights
    write_text(file, config.to_str(interpolate=False))
