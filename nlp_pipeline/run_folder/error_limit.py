"""When a run has failed often enough to be stopped: `--on-error stop`, `--max-errors`."""

from __future__ import annotations

from nlp_pipeline.errors.run import InvalidMaxErrors, TooManyErrors

MIN_DOCUMENTS = 100
"""A share of failures means nothing before so many documents."""


class ErrorLimit:
    """Counts the documents of a process.

    Args:
        max_errors: `"10"` or `"2.5%"`: more is too many; None for any number.
        stop: Whether one is too many already.

    Raises:
        InvalidMaxErrors: `max_errors` is neither.
    """

    def __init__(self, max_errors: str | None = None, *, stop: bool = False) -> None:
        self._count, self._share = _parsed(max_errors)
        self._limit_text = max_errors
        if stop:
            self._count, self._limit_text = 0, None
        self._documents = self._failed = 0

    def count(self, *, failed: bool) -> None:
        """Counts a document that is safe already.

        Raises:
            TooManyErrors: It was one failure too many.
        """
        self._documents += 1
        self._failed += failed
        share = self._failed / self._documents
        if not failed:
            return
        over = self._count is not None and self._failed > self._count
        if self._share is not None and self._documents >= MIN_DOCUMENTS:
            over = over or share > self._share
        if over:
            raise TooManyErrors(self._failed, self._documents, self._limit_text)


def _parsed(text: str | None) -> tuple[int | None, float | None]:
    if text is None:
        return None, None
    try:
        if text.endswith("%"):
            share = float(text[:-1]) / 100
            if 0 <= share <= 1:
                return None, share
        elif (count := int(text)) >= 0:
            return count, None
    except ValueError:
        pass
    raise InvalidMaxErrors(text, MIN_DOCUMENTS)
