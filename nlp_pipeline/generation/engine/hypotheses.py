"""One way the answer may go on, and the choice among those that have ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Candidate(NamedTuple):
    """A token that may come next, with its log-probabilities.

    Attributes:
        token: Its id.
        logprob: In the model's own distribution, unmasked: what the search adds up.
        masked: In the distribution over the allowed tokens alone.
    """

    token: int
    logprob: float
    masked: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """Tokens so far, a final stop included, and their scores.

    Attributes:
        output_ids: The tokens.
        logprobs: One each, unmasked.
        score: Their sum.
        masked: Sum of the masked ones.
    """

    output_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    score: float = 0.0
    masked: float = 0.0

    def extended(self, candidate: Candidate) -> Hypothesis:
        """This hypothesis with one more token."""
        return Hypothesis(
            (*self.output_ids, candidate.token),
            (*self.logprobs, candidate.logprob),
            self.score + candidate.logprob,
            masked=self.masked + candidate.masked,
        )

    def normalized(self, length_penalty: float) -> float:
        """The score over length to this power; as in `transformers`, 0 leaves the sum."""
        return self.score / float(len(self.output_ids) ** length_penalty)


class FinishedHypotheses:
    """The best hypotheses that have ended, and when no better one can come.

    The rule is that of `transformers` with `early_stopping=False`: the search is over when as
    many have ended as there are beams, all of them better than the best that runs would be if it
    ended now. Where scores can only fall, so where `length_penalty` is 0 or less, it is over once
    the best has ended: the rest could not change the answer.

    Args:
        num_beams: So many have to have ended.
        length_penalty: See `Hypothesis.normalized`.
        limit: So many are kept, where that is more than `num_beams`.
    """

    def __init__(self, num_beams: int, length_penalty: float, limit: int = 1) -> None:
        self._num_beams = num_beams
        self._length_penalty = length_penalty
        self._limit = max(num_beams, limit)
        self._best: list[Hypothesis] = []

    def add(self, hypothesis: Hypothesis) -> None:
        """One that has ended; of equals the first is kept."""
        self._best.append(hypothesis)
        self._best.sort(key=lambda h: -h.normalized(self._length_penalty))
        del self._best[self._limit :]

    @property
    def best(self) -> Hypothesis | None:
        """The best hypothesis that has ended; None where none has."""
        return self._best[0] if self._best else None

    def ranked(self, count: int) -> list[Hypothesis]:
        """The best of those that have ended, best first; at most so many."""
        return self._best[:count]

    def beats(self, running: Hypothesis) -> bool:
        """Whether the best running hypothesis need not go on."""
        if not self._best:
            return False
        score = running.normalized(self._length_penalty)
        if self._length_penalty <= 0:
            return self._best[0].normalized(self._length_penalty) >= score
        full = len(self._best) >= self._num_beams
        return full and self._best[self._num_beams - 1].normalized(self._length_penalty) >= score
