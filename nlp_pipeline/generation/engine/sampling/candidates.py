"""The best continuations of beams: for all beams of a step at once, read when the step is."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from nlp_pipeline.generation.constraints.mask import BLOCKED, allowed_tokens
from nlp_pipeline.generation.engine.hypotheses import Candidate
from nlp_pipeline.generation.engine.transfer import HostCopy, host_tensor, send, upload

if TYPE_CHECKING:
    from nlp_pipeline.generation.engine.beam_states import BeamState
    from nlp_pipeline.generation.engine.sequence_state import SequenceState


class CandidateTable:
    """The candidates of some beams, on their way to the host.

    Args:
        table: Token, log-probability and masked log-probability of every candidate.
            Shape: (3, beams, width).
    """

    def __init__(self, table: Tensor) -> None:
        self._copy = HostCopy(table)
        self._rows: list[list[Candidate]] | None = None

    def of(self, row: int) -> list[Candidate]:
        """The candidates of one beam, the best first; what its constraint blocks is left out."""
        if self._rows is None:
            columns = self._copy.read().tolist()
            self._rows = [
                [
                    Candidate(int(token), logprob, masked)
                    for token, logprob, masked in zip(*beam, strict=True)
                    if logprob > BLOCKED or math.isnan(logprob)
                ]
                for beam in zip(*columns, strict=True)
            ]
        return self._rows[row]


class CandidateSampler:
    """Finds the best candidates of every beam, and leaves the choice to the beams' groups.

    Args:
        width: How many candidates of each.
    """

    looks_back = True

    def __init__(self, width: int) -> None:
        self._width = width

    def choose(self, logits: Tensor, likeliest: Tensor, states: list[SequenceState]) -> Tensor:
        """See `Sampler.choose`; what it returns is read by nobody.

        Beams under a constraint read the logits of the tokens that it allows, and no others.
        """
        beams = cast("list[BeamState]", states)
        allowed = [allowed_tokens(b.sequence, b.hypothesis.output_ids) for b in beams]
        constrained = [row for row, ids in enumerate(allowed) if ids is not None]
        unconstrained = [row for row, ids in enumerate(allowed) if ids is None]
        if unconstrained:
            scores = logits if not constrained else logits[upload(unconstrained, logits.device)]
            self._note([beams[row] for row in unconstrained], scores, scores, None)
        if constrained:
            scores = logits if not unconstrained else logits[upload(constrained, logits.device)]
            ids, blocked = _padded([allowed[row] for row in constrained], scores)
            picked = scores.gather(1, ids).masked_fill(blocked, BLOCKED)
            self._note([beams[row] for row in constrained], scores, picked, ids)
        return likeliest

    def _note(
        self, beams: list[BeamState], scores: Tensor, picked: Tensor, ids: Tensor | None
    ) -> None:
        """Lets the beams know where their candidates will be.

        Args:
            beams: One per row.
            scores: All logits. Shape: (rows, vocabulary).
            picked: Those of the tokens that may come. Shape: (rows, picked).
            ids: Which tokens these are; None where all are picked.
        """
        best = picked.topk(min(self._width, picked.shape[1]))
        tokens = best.indices if ids is None else ids.gather(1, best.indices)
        logprobs = best.values - scores.logsumexp(-1, keepdim=True)
        masked = best.values - picked.logsumexp(-1, keepdim=True)
        table = CandidateTable(torch.stack([tokens.to(scores.dtype), logprobs, masked]))
        for row, beam in enumerate(beams):
            beam.candidate_table, beam.candidate_row = table, row


@lru_cache(maxsize=64)
def candidate_sampler(width: int) -> CandidateSampler:
    """One sampler for all beams of one width, so that they are looked at together."""
    return CandidateSampler(width)


def _padded(allowed: list[Tensor | None], logits: Tensor) -> tuple[Tensor, Tensor]:
    """Token ids of all rows in one table, and what of it is padding. Shape of each: (rows, most).

    Raises:
        ValueError: A row has no token of the vocabulary.
    """
    vocabulary = logits.shape[1]
    rows = [ids[ids < vocabulary] for ids in allowed if ids is not None]
    if not all(len(ids) for ids in rows):
        raise ValueError("the constraint allows no token")
    size = (len(rows), max(map(len, rows)))
    table = host_tensor(size, -1, torch.long, logits.device)
    for line, ids in zip(table, rows, strict=True):
        line[: len(ids)] = ids
    ids = send(table, logits.device)
    return ids.clamp(min=0), ids < 0
