"""Groups of commands that say which command a mistyped one was meant to be."""

from __future__ import annotations

import click


class CommandGroup(click.Group):
    """A group of commands by their names."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the words begin with.

        Raises:
            click.UsageError: There is none of that name; the message says which is near.
        """
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            from nlp_pipeline.errors.config import no_such_command

            ctx.fail(no_such_command(name, self.list_commands(ctx)))
        return super().resolve_command(ctx, args)
