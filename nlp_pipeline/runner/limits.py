"""How large the numbers of a run may be: what is larger breaks somewhere inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nlp_pipeline.errors.run import InvalidNumber

if TYPE_CHECKING:
    from spacy.language import Language

    from nlp_pipeline.runner.request import RunRequest

RANGES: dict[str, tuple[int, int]] = {
    # spaCy counts characters and tokens in 32 bits, and a line may be twelve times as long.
    "max_length": (1, 10**9),
    "n_process": (1, 1024),
    "batch_size": (1, 10**6),
    "part_size": (1, 10**6),
    "limit": (0, 2**63 - 1),
    "actors": (1, 10**5),
    "gpus_per_actor": (0, 1024),
    "cpus_per_actor": (1, 1024),
}
"""The least and the most of each."""
_CLUSTER = ("actors", "gpus_per_actor", "cpus_per_actor")
_OPTIONAL = ("batch_size", "limit", "n_process", *_CLUSTER)
MAX_SECONDS = 10**7
"""The longest time limit of a document, some hundred days: what the kernel's timer takes."""


def check_numbers(request: RunRequest) -> None:
    """Checks the numbers of a request.

    Raises:
        InvalidNumber: One is no integer, or out of its range.
    """
    for name, (least, most) in RANGES.items():
        value = getattr(request.cluster if name in _CLUSTER else request, name)
        if value is None and name in _OPTIONAL:
            continue
        _check(name, value, least, most)


def batch_size_of(request: RunRequest, nlp: Language) -> int:
    """Documents handed to spaCy at a time: the request's, or the pipeline's own.

    Raises:
        InvalidNumber: It is no number of documents. With 0 a run would end without a word.
    """
    if request.batch_size is not None:
        return request.batch_size
    _check("nlp.batch_size", nlp.batch_size, *RANGES["batch_size"])
    return nlp.batch_size


def _check(name: str, value: object, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidNumber(name, value, least, most=most)
