"""The config of a run with the weights that its labelled answers teach."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from spacy.util import load_config

from nlp_pipeline.errors.evaluation import NothingToFit
from nlp_pipeline.evaluation.answer_fit import AnswerFit, fit_answers, labelled_answers
from nlp_pipeline.evaluation.references import References
from nlp_pipeline.run_folder.files import write_text
from nlp_pipeline.run_folder.writer import CONFIG


def fit_components(
    rows: Iterable[Mapping[str, Any]], references: References
) -> dict[str, AnswerFit]:
    """What the labelled answers of each component teach, by its name.

    Args:
        rows: Of the table `answers`.
        references: What is right.

    Raises:
        NothingToFit: A component has too few of them, or none has any.
    """
    by_component: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        by_component[row["component"]].append(row)
    answers = {name: labelled_answers(rows, references) for name, rows in by_component.items()}
    fits = {name: fit_answers(members) for name, members in answers.items() if members}
    if not fits:
        raise NothingToFit([])
    return fits


def write_fitted_config(run: Path, fits: Mapping[str, AnswerFit], file: Path) -> None:
    """Writes the config of a run, with the weights that serve better than its own.

    Args:
        run: The run's folder.
        fits: By component.
        file: Where to.
    """
    config = load_config(run / CONFIG, interpolate=False)
    for component, fit in fits.items():
        for setting, learned in fit.fits.items():
            if learned.is_better:
                config["components"][component][setting] = learned.weights
    write_text(file, config.to_str(interpolate=False))
