"""Exact match and F1 of answers, with the normalization of SQuAD's own evaluation."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Iterable

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_IDEOGRAPHS = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")
_FULL_WIDTH = str.maketrans("", "", "“”‘’„«»、。，！？：；（）「」")


def normalized(text: str) -> list[str]:
    """The words of an answer without case, punctuation and English articles.

    As SQuAD's evaluation does it, to the letter (Rajpurkar et al. 2016). Only where a text has
    Chinese or Japanese characters, which stand without spaces, these are words of their own and
    their punctuation is left out, as MLQA's evaluation has it (Lewis et al. 2020).
    """
    bare = text.lower().translate(_PUNCTUATION)
    if _IDEOGRAPHS.search(bare):
        bare = _IDEOGRAPHS.sub(r" \1 ", bare.translate(_FULL_WIDTH))
    return _ARTICLES.sub(" ", bare).split()


def exact_match(answer: str | None, references: Iterable[str]) -> float:
    """1 if the answer is one of the references, or if there is neither; else 0."""
    return _best(answer, references, lambda text, right: float(text == right))


def f1(answer: str | None, references: Iterable[str]) -> float:
    """Overlap of words with the best reference, from 0 to 1; as `exact_match` where one lacks."""
    return _best(answer, references, _overlap)


def _best(
    answer: str | None,
    references: Iterable[str],
    compare: Callable[[list[str], list[str]], float],
) -> float:
    right = [normalized(reference) for reference in references]
    if answer is None or not right:
        return float(answer is None and not right)
    text = normalized(answer)
    return max(compare(text, reference) for reference in right)


def _overlap(words: list[str], right: list[str]) -> float:
    if not words or not right:
        return float(words == right)
    common = sum((Counter(words) & Counter(right)).values())
    return 2 * common / (len(words) + len(right))
