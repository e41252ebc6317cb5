"""Errors of comparing two runs."""

from __future__ import annotations

from collections.abc import Sequence

from nlp_pipeline.errors.base import NlpPipelineError, counted


class NothingShared(NlpPipelineError):
    """Two runs without a document in common."""

    def __init__(self, run_a: str, run_b: str, n_documents: Sequence[int]) -> None:
        n_a, n_b = n_documents
        super().__init__(
            f"{run_a} ({counted(n_a, 'document')}) and {run_b} ({n_b:,}) have no document in "
            "common: none has the same id and the same text in both. Compare runs over the same "
            "corpus; of one that is going on, only finished parts are read."
        )
