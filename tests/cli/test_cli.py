"""The command line as a whole: what it imports, what it exits with, what a user never sees."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

import nlp_pipeline.cli as command_line
from nlp_pipeline import __version__
from nlp_pipeline.errors.run_folder import DiskFull, RunLocked

HEAVY = {"spacy", "torch", "transformers", "pandas", "pyarrow", "numpy", "thinc", "rich"}


def test_help_imports_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "nlp_pipeline", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Usage: nlp-pipeline [OPTIONS] COMMAND [ARGS]...")
    imported = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "click" in imported
    assert imported & HEAVY == set()


@pytest.mark.parametrize("command", list(command_line._COMMANDS))
def test_every_command_has_help(cli, command) -> None:
    done = cli(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"nlp-pipeline {command}" in done.out


def leaves(group: click.Group, *names: str) -> Iterator[tuple[str, click.Command]]:
    """The commands that do something, by the words that are typed."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        if isinstance(command, click.Group):
            yield from leaves(command, *names, name)
        elif command is not None:
            yield " ".join((*names, name)), command


def test_json_is_a_flag_of_every_command() -> None:
    commands = dict(leaves(command_line.group))
    assert len(commands) > 20
    without = [
        name
        for name, command in commands.items()
        if not any("--json" in o.opts and getattr(o, "is_flag", False) for o in command.params)
    ]
    assert without == []


def test_the_help_of_run_shows_its_example_as_it_is_typed(cli) -> None:
    assert '\n    nlp-pipeline run corpora/sample.jsonl -q "Who is named?" -o runs/names\n' in (
        cli("run", "--help").out
    )


def test_version(cli) -> None:
    assert cli("--version").out == f"nlp-pipeline, version {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nope"], "No such command 'nope'. There are: run, ask, "),
        (["Rum"], "No such command 'Rum'. Did you mean 'run'? There are: run, ask, "),
        (["models", "fech"], "No such command 'fech'. Did you mean 'fetch'? There are: fetch, "),
        (["run"], "Missing argument 'CORPUS...'"),
        (["run", "x", "--nope"], "No such option"),
        (["run", "x", "--limit", "many"], "'many' is not a valid integer range"),
        (["run", "x", "--limit", "-1"], "-1 is not in the range"),
        (["run", "x", "--format", "xlsx"], "'xlsx' is not one of"),
        (["run", "x", "--n-process", "0"], "0 is not in the range"),
    ],
)
def test_wrong_usage_exits_with_2(cli, arguments, said) -> None:
    done = cli(*arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err


def raising(error: BaseException) -> click.Command:
    @click.command()
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (RunLocked("out", "process 7"), 75, "Error: Another run holds the output folder 'out'"),
        (DiskFull("out", 9), 28, "Error: The disk that holds 'out' is full. 9 documents are safe."),
        (KeyboardInterrupt(), 130, "Interrupted."),
        (click.Abort(), 130, "Interrupted."),
        (SystemExit(3), 3, ""),
    ],
)
def test_errors_become_a_line_and_an_exit_code(cli, monkeypatch, error, code, said) -> None:
    monkeypatch.setattr(command_line.LazyGroup, "get_command", lambda *_: raising(error))
    done = cli("run")
    assert (done.code, done.out) == (code, "")
    assert done.err.strip().startswith(said)
    assert len(done.err.strip().splitlines()) <= 1


def test_a_reader_that_has_gone_is_no_error() -> None:
    command = [sys.executable, "-m", "nlp_pipeline", "models", "list"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.close()
    assert b"BrokenPipe" not in child.stderr.read()
    child.stderr.close()
    assert child.wait() == 0
