"""What `evaluate --first` says: the curve as a table, and the threshold as a setting to copy."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import click

from nlp_pipeline.cli.output import print_table
from nlp_pipeline.errors.base import counted

_ROWS = 8
"""Points of the curve that are shown."""


def show_cascade(report: Mapping[str, Any]) -> None:
    """Prints the curve and the proposed threshold.

    Args:
        report: An `evaluation.cascade.CascadeReport` as a dict, with `component` and `first`.
    """
    rows = [
        [
            "the Llama alone" if point["threshold"] is None else f"{point['threshold']:.3f}",
            f"{100 * point['llama_share']:.0f}%",
            f"{100 * point['accuracy']:.1f}%",
        ]
        for point in _spread(report["curve"])
    ]
    title = f"Cascade: `first` answers where it is sure ({counted(report['n'], 'document')})"
    print_table(["first_threshold", "Llama asked", "right"], rows, title)
    click.echo(cascade_advice(report))


def cascade_advice(report: Mapping[str, Any]) -> str:
    """The proposed threshold with what it does on the other half, or why there is none."""
    goal = f"{100 * report['goal']:.1f}%"
    figures = (
        f"{counted(report['accuracy']['n'], 'document')}: together {_percent(report['accuracy'])}, "
        f"the Llama alone {_percent(report['llama_accuracy'])}, `first` alone "
        f"{_percent(report['first_accuracy'])}; together less the Llama "
        f"{_percent(report['difference'])}"
    )
    if report["verdict"] == "too few documents":
        return f"Too few documents to choose a threshold on one half of them ({figures})."
    if report["verdict"] == "not reached":
        return (
            f"No threshold reaches {goal} on the half of the documents that it is chosen on "
            f"(the other half, {figures}). Lower --wanted-accuracy, or distil more documents."
        )
    component = f"components.{report['component']}"
    settings = f"--set {component}.first={shlex.quote(str(report['first']))}"
    threshold = f"--set {component}.first_threshold={report['threshold']:.4g}"
    return (
        f"{settings} {threshold} reaches {goal} on the half that it was chosen on. On the other "
        f"half the Llama is asked about {100 * report['llama_share']:.0f}% of {figures}."
    )


def _spread(points: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Some points, as far apart as can be, the ends among them."""
    if len(points) <= _ROWS:
        return list(points)
    return [points[round(n * (len(points) - 1) / (_ROWS - 1))] for n in range(_ROWS)]


def _percent(mean: Mapping[str, Any]) -> str:
    low, high = 100 * mean["low"], 100 * mean["high"]
    return f"{100 * mean['value']:.1f}% [{low:.1f}, {high:.1f}]"
