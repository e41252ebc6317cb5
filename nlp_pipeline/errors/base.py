"""The root of the exception tree: an error that knows its stage and what can be done about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, ClassVar, Literal

from nlp_pipeline.errors.escapes import escaped

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


def counted(count: int, noun: str, plural: str = "", *, separator: str = ",") -> str:
    """A number with its noun, for messages: `"1 document"`, `"1,200 documents"`.

    Args:
        count: How many.
        noun: What is counted, in the singular.
        plural: The same in the plural, where that is not the singular with an `s`.
        separator: Of thousands; nothing where the number stands beside others that have none.
    """
    return f"{count:{separator}} {noun_form(count, noun, plural)}"


def noun_form(count: int, noun: str, plural: str = "") -> str:
    """The noun that stands behind a number: `"document"` behind 1, else `"documents"`.

    Args:
        count: The number.
        noun: What is counted, in the singular.
        plural: The same in the plural, where that is not the singular with an `s`.
    """
    return noun if count == 1 else plural or f"{noun}s"


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """The question after the nearest of the names that there are, with a space in front of it.

    Args:
        name: What was typed, which is none of them.
        choices: The names that there are.

    Returns:
        `" Did you mean 'text'?"`, or nothing where none is near.
    """
    # From the last: of two names that only their case tells apart, the first is meant.
    names = {choice.lower(): choice for choice in reversed(list(choices))}
    near = get_close_matches(name.lower(), names, n=1)
    return f" Did you mean '{escaped(names[near[0]], 60)}'?" if near else ""
