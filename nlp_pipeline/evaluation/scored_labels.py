"""Which labels a run can give, and which documents of a corpus have none of these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any


def scored_labels(categories: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The labels of a run, where its scores tell.

    Args:
        categories: The rows of the table `categories`.

    Returns:
        All labels that it has a score of. None where no document has them all: a pipe that writes
        down nothing but what it has chosen may know others.
    """
    by_document: dict[str, set[str]] = {}
    for row in categories:
        by_document.setdefault(row["document_id"], set()).add(row["label"])
    every_label = frozenset().union(*by_document.values())
    is_whole = any(every_label == labels for labels in by_document.values())
    return every_label if is_whole and len(every_label) > 1 else frozenset()


def documents_of_other_labels(
    references: Mapping[str, frozenset[str]], labels: frozenset[str]
) -> tuple[frozenset[str], dict[str, int]]:
    """The documents of which no label that is right is one of a run's.

    Args:
        references: Per document the labels that are right.
        labels: Those of the run; none where they are not known.

    Returns:
        Their ids, and how many of them have each of the other labels, the commonest first.
    """
    if not labels:
        return frozenset(), {}
    others = {name: right for name, right in references.items() if right.isdisjoint(labels)}
    counts = Counter(label for right in others.values() for label in sorted(right))
    return frozenset(others), dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
