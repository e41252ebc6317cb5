"""The root of the exception tree: an error that knows its stage and what can be done about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, ClassVar, Literal

Stage = Literal["config", "read", "annotate", "generate", "write", "run"]
"""Where in the way of the data an error arose; the `stage` column of the `errors` table."""


class NlpPipelineError(Exception):
    """An error with a message that names the value, the place and the next step.

    Subclasses build the whole message in `__init__` from the values they are given, so that
    every message of the package stands in this folder. `str(error)` is what a user reads.

    Attributes:
        stage: Where the error arose.
        exit_code: What the command line exits with when the error ends a run.
        retryable: Whether doing the same again can help (a time-out can, a bad record cannot).
    """

    stage: ClassVar[Stage] = "run"
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    @property
    def kind(self) -> str:
        """The error's name in tables and logs: the class name in snake case."""
        return snake_case(type(self).__name__)

    def __reduce__(self) -> tuple[Any, ...]:
        # An exception is pickled as a call with its message, which is no argument of a subclass:
        # what cannot be read back breaks the pool of processes in which it was raised.
        return _raised_again, (type(self), self.args, vars(self))


def _raised_again(
    kind: type[NlpPipelineError], args: tuple[Any, ...], attributes: dict[str, Any]
) -> NlpPipelineError:
    """An error as it was, with the message that it had."""
    error = kind.__new__(kind, *args)
    vars(error).update(attributes)
    return error


def snake_case(name: str) -> str:
    """`"PromptTooLong"` → `"prompt_too_long"`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def listing(names: Iterable[object], limit: int = 8) -> str:
    """A readable, bounded list for messages: `"a, b, c (and 4 more)"`, or `"none"`."""
    items = [str(name) for name in names]
    if not items:
        return "none"
    text = ", ".join(items[:limit])
    return text if len(items) <= limit else f"{text} (and {len(items) - limit} more)"
