"""The score of a completion: what answers are compared by, and what a threshold is set on."""

from __future__ import annotations

from nlp_pipeline.generation.interface import Completion


def completion_score(completion: Completion) -> float | None:
    """The log-probability (natural) of a completion as a whole.

    The sum over its tokens in the model's own distribution, and that of the stop where the
    model ended it itself. On reading-comprehension questions this sum tells right answers from
    wrong ones far better than the mean does.

    Args:
        completion: What was generated.

    Returns:
        None where its backend knows no log-probabilities.
    """
    if not completion.logprobs and completion.stop_logprob is None:
        return None
    return sum(completion.logprobs) + (completion.stop_logprob or 0.0)


def by_score(completion: Completion) -> float:
    """For sorting: one without a score comes last."""
    score = completion_score(completion)
    return float("-inf") if score is None else score
