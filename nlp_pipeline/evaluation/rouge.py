"""ROUGE of summaries, by torchmetrics (extra `evaluate`)."""

from __future__ import annotations

import re
from typing import Any

from nlp_pipeline.errors.evaluation import RougeMissing

KEYS = ("rouge1", "rouge2", "rougeL")
_IDEOGRAPHS = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")
_BREAK = re.compile(r"[^\w]+")


def rouge(summary: str, reference: str) -> dict[str, float]:
    """ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004) as F1, from 0 to 1; without stemming.

    Words are runs of letters and digits of any script, and single Chinese and Japanese
    characters; the metric's usual words would break at every letter with an accent.

    Raises:
        RougeMissing: The extra is not installed.
    """
    if not summary:
        return dict.fromkeys(KEYS, 0.0)
    scores = _scorer()(
        summary, reference, rouge_keys=KEYS, normalizer=_normalized, tokenizer=str.split
    )
    return {key: float(scores[f"{key}_fmeasure"]) for key in KEYS}


def _scorer() -> Any:
    try:
        from torchmetrics.functional.text import rouge_score
    except ImportError:
        raise RougeMissing from None
    return rouge_score


def _normalized(text: str) -> str:
    return _BREAK.sub(" ", _IDEOGRAPHS.sub(r" \1 ", text.casefold())).strip()
