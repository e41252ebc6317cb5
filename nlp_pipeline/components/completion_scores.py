"""The figures of a completion; its score is what answers are compared by and thresholds set on."""

from __future__ import annotations

import math
from typing import Any

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


def token_figures(completion: Completion, model: str | None) -> dict[str, Any]:
    """The figures of a completion that every generated value carries in the tables."""
    scores = completion.logprobs
    return {
        "finish_reason": completion.finish_reason,
        "mean_logprob": sum(scores) / len(scores) if scores else None,
        "min_logprob": min(scores) if scores else None,
        "first_token_prob": math.exp(scores[0]) if scores else None,
        "sum_logprob": completion_score(completion),
        "prompt_tokens": completion.prompt_tokens,
        "reused_tokens": completion.reused_tokens,
        "output_tokens": completion.output_tokens,
        "reasoning": completion.reasoning or None,
        "reasoning_tokens": completion.reasoning_tokens or None,
        "model": model,
        "error": str(completion.error) if completion.error else None,
    }
