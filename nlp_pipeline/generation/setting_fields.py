"""How a settings dataclass declares a setting: type, range and option stand beside its name.

`LlamaSettings`, its twin `ServerSettings` and `SamplingParams` are lists of such fields. Whatever
else names a setting follows from them: factory arguments, `--set generator.NAME`, the options of
the command line, the recipe of a golden output and the pages of docs/.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Literal

_ATTRIBUTE = re.compile(r"^    (\w+): (.+(?:\n     +.+)*)", re.MULTILINE)


@dataclass(frozen=True)
class WrongValue:
    """A setting whose value is of the wrong type or out of its range.

    Attributes:
        name: The setting's name.
        value: What was given.
        allowed: What can be given, in words.
    """

    name: str
    value: object
    allowed: str


def setting(
    type_: type | tuple[type, ...],
    allowed: str,
    check: Callable[[Any], bool] = lambda value: True,
    default: Any = None,
    *,
    option: bool = False,
    path: bool = False,
    least: int | None = None,
) -> Any:
    """A field of a settings dataclass.

    Args:
        type_: What a value is an instance of; a bool is no number.
        allowed: The values that are possible, in words, for messages.
        check: Whether a value of the type is possible.
        default: Its default; where that is None, None stands for a setting that is left out.
        option: Whether the command line has an option for it, `--max-seq-len` for `max_seq_len`.
        path: Whether a value may be a path.
        least: The smallest number that an option takes.
    """
    metadata = {
        "type": type_,
        "allowed": allowed,
        "check": check,
        "option": option,
        "path": path,
        "least": least,
    }
    return field(default=default, metadata=metadata)


def count(least: int = 1, default: int | None = None, *, option: bool = False) -> Any:
    """A setting that is a number of things, from `least` on."""
    allowed = f"an integer of at least {least}"
    return setting(int, allowed, lambda value: value >= least, default, option=option, least=least)


def integer(least: int, most: int, default: int) -> Any:
    """A setting that is an integer of a range, both ends included."""
    allowed = f"an integer from {least} to {most}"
    return setting(int, allowed, lambda value: least <= value <= most, default)


def switch() -> Any:
    """A setting that is true, false, or left out."""
    return setting(bool, "true, false or left out")


def wrong_values(settings: Any) -> Iterator[WrongValue]:
    """The settings of a dataclass whose values cannot be used, in the order of its fields."""
    for declared in fields(settings):
        value, facts = getattr(settings, declared.name), declared.metadata
        if not facts or (value is None and declared.default is None):
            continue
        types = facts["type"] if isinstance(facts["type"], tuple) else (facts["type"],)
        typed = isinstance(value, types) and isinstance(value, bool) == (bool in types)
        if not typed or not facts["check"](value):
            yield WrongValue(declared.name, value, facts["allowed"])


def names_with(flag: Literal["option", "path"], settings: type) -> tuple[str, ...]:
    """The settings of a dataclass that are declared with a flag, in its order."""
    return tuple(f.name for f in fields(settings) if f.metadata.get(flag))


def least_value(settings: type, name: str) -> int | None:
    """The smallest value of a setting that is a number; None for one that is none."""
    (declared,) = (f for f in fields(settings) if f.name == name)
    least: int | None = declared.metadata.get("least")
    return least


def meanings(settings: type) -> dict[str, str]:
    """What the docstring of a settings dataclass says of each setting, as one line."""
    text = inspect.getdoc(settings) or ""
    section = text.partition("Attributes:\n")[2].partition("\n\n")[0]
    return {name: " ".join(meaning.split()) for name, meaning in _ATTRIBUTE.findall(section)}
