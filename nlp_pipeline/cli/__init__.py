"""The command line: options in, one call out. Commands are imported when they are used."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from nlp_pipeline import __version__
from nlp_pipeline.cli.command_group import CommandGroup
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.config import ArgumentNotText

_COMMANDS = {
    "run": "nlp_pipeline.cli.run:run",
    "ask": "nlp_pipeline.cli.ask:ask",
    "retry": "nlp_pipeline.cli.retry:retry",
    "status": "nlp_pipeline.cli.status:status",
    "errors": "nlp_pipeline.cli.errors:errors",
    "show": "nlp_pipeline.cli.show:show",
    "verify": "nlp_pipeline.cli.verify:verify",
    "export": "nlp_pipeline.cli.export:export",
    "push": "nlp_pipeline.cli.push:push",
    "report": "nlp_pipeline.cli.report:report",
    "review": "nlp_pipeline.cli.review:review",
    "compare": "nlp_pipeline.cli.compare:compare",
    "evaluate": "nlp_pipeline.cli.evaluate:evaluate",
    "train": "nlp_pipeline.cli.train:train",
    "distil": "nlp_pipeline.cli.distil:distil",
    "convert": "nlp_pipeline.cli.convert:convert",
    "models": "nlp_pipeline.cli.models:models",
    "info": "nlp_pipeline.cli.info:info",
    "golden": "nlp_pipeline.cli.golden:golden",
}
INTERRUPTED = 130
RANK_0_S = 10.0
"""Seconds that torchrun has to end the other ranks once rank 0 has said what is wrong."""


class LazyGroup(CommandGroup):
    """A group that imports a command's module only when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order of the help."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; a reader of its output that has gone (`| head`) is no error."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Here, because click itself makes a 1 of it; and nothing is left to be flushed.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: nlp-pipeline run corpora/sample.jsonl",
)
@click.version_option(__version__, prog_name="nlp-pipeline")
def group() -> None:
    """Annotate a corpus with spaCy and have a local Llama answer questions about it."""


def main() -> None:
    """The entry point: errors become one line on stderr and an exit code here, nowhere else."""
    # Hugging Face's tokenizers warn about forks that never happen here.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Threads that wait for each other in a busy loop take ten times as long beside other work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        _check_arguments(sys.argv[1:])
        status = group.main(prog_name="nlp-pipeline", standalone_mode=False)
    except NlpPipelineError as error:
        _let_rank_0_speak()
        _say(f"Error: {error}")
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _let_rank_0_speak()
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _say("Interrupted.")
        sys.exit(INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


def _check_arguments(arguments: Sequence[str]) -> None:
    """Looks whether every argument is text: bytes that are none would end in a table or a message.

    Raises:
        ArgumentNotText: One is not, and names no file that is there.
    """
    for argument in arguments:
        try:
            argument.encode("utf-8")
        except UnicodeEncodeError:
            if not os.path.lexists(argument):
                raise ArgumentNotText(argument) from None


def _let_rank_0_speak() -> None:
    """What is wrong is mostly wrong on every rank, and torchrun ends the others after the first.

    A rank that is still there then has something of its own to say.
    """
    if os.environ.get("RANK", "0") != "0":
        time.sleep(RANK_0_S)


def _say(message: str) -> None:
    from nlp_pipeline.cli.output import coloured
    from nlp_pipeline.errors.escapes import escaped

    # A message may name what somebody has typed or a server has said; its own line ends stay.
    message = "\n".join(escaped(line, limit=10_000) for line in message.split("\n"))
    click.echo(click.style(message, fg="red") if coloured(sys.stderr) else message, err=True)
