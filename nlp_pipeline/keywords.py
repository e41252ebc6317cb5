"""Keyword arguments that exist: a mistyped one is refused with the nearest right one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import ParamSpec, TypeVar

from nlp_pipeline.errors.config import UnknownKeyword

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def known_keywords(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Makes a function say which of its arguments a mistyped one was meant to be.

    The function keeps its signature and its docstring. Its other mistakes, such as an argument
    that is missing, stay Python's own `TypeError`.

    Raises:
        UnknownKeyword: On a call with a keyword that the function does not have.
    """
    parameters = signature(function).parameters
    positional_only = {p.name for p in parameters.values() if p.kind is p.POSITIONAL_ONLY}
    names = [name for name in parameters if name not in positional_only | {"self", "cls"}]

    @wraps(function)
    def checked(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        for name in kwargs:
            if name not in names:
                raise UnknownKeyword(function.__qualname__, name, names)
        return function(*args, **kwargs)

    return checked
