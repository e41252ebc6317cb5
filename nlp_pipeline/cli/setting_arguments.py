"""spaCy's way to override a setting: `--components.llama_qa.max_new_tokens=16`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import click

_SETTING = re.compile(r"--(?P<key>[A-Za-z_][\w-]*(?:\.[\w@-]+)+)(?:=(?P<value>.*))?", re.DOTALL)


class SettingsCommand(click.Command):
    """A command that takes each setting as an option of its own, beside `--set KEY=VALUE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the arguments, those that name a setting as `--set`."""
        return super().parse_args(ctx, list(with_set(args)))


def with_set(args: Sequence[str]) -> Iterator[str]:
    """Arguments in which `--a.b=c`, `--a.b c` and `--a.b` stand as `--set a.b=…`.

    As in spaCy, a setting without a value is true. What stands behind `--` is left as it is.
    """
    rest = iter(args)
    for argument in rest:
        if argument == "--":
            yield from (argument, *rest)
            return
        match = _SETTING.fullmatch(argument)
        if match is None:
            yield argument
        elif match["value"] is not None:
            yield from ("--set", f"{match['key']}={match['value']}")
        else:
            value = next(rest, None)
            if value is None or value.startswith("--"):
                yield from ("--set", f"{match['key']}=true")
                yield from with_set([] if value is None else [value, *rest])
                return
            yield from ("--set", f"{match['key']}={value}")
