"""What a terminal shows: examples in every help, colours, widths, completion."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from rich.cells import cell_len

from nlp_pipeline.cli import group
from nlp_pipeline.cli.output import coloured, print_table

ESCAPE = "\x1b["


def walk(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below a group by the words it is called with."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from walk(below, *path, name)
    if path:
        yield path, command


COMMANDS = dict(walk(group))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_help_has_an_example_that_can_be_typed(cli, path) -> None:
    said = cli(*path, "--help").out
    lines = re.findall(r"^ +Examples?:\n +(nlp-pipeline .*)$", said, re.MULTILINE)
    assert len(lines) == 1, said
    words = shlex.split(lines[0])[1:]
    assert tuple(words[: len(path)]) == path
    # Parsed as the command line does it, and not run: unknown options and wrong values raise.
    depth = next(n for n in (2, 1) if tuple(words[:n]) in COMMANDS)
    leaf = COMMANDS[tuple(words[:depth])]
    assert not isinstance(leaf, click.Group)
    leaf.make_context(words[depth - 1], words[depth:])


def test_the_list_of_commands_cuts_no_sentence_off(cli) -> None:
    assert "..." not in cli("--help").out.partition("Commands:")[2]


@pytest.mark.parametrize(
    ("terminal", "no_color", "expected"),
    [(True, None, True), (True, "", True), (True, "1", False), (False, None, False)],
)
def test_colours_are_for_terminals_that_want_them(
    monkeypatch, terminal, no_color, expected
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    assert coloured(sys.stderr) is expected


@pytest.mark.parametrize("no_color", [False, True])
def test_an_error_is_red_unless_no_color(cli, monkeypatch, no_color) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)
    monkeypatch.setattr("nlp_pipeline.cli.output.coloured", _on_a_terminal)
    done = cli("status", "nowhere")
    assert (ESCAPE in done.err) is not no_color
    assert "nowhere" in done.err


def _on_a_terminal(stream: object) -> bool:
    return not os.environ.get("NO_COLOR")


@pytest.mark.parametrize("width", [20, 40, 80])
def test_tables_are_no_wider_than_the_terminal(monkeypatch, capsys, width) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    rows = [("smollm2-135m-instruct", "a word and another", "日本語の文"), ("b", None, "c")]
    print_table(("name", "status", "what"), rows, "A title that is rather long for twenty columns")
    lines = click.unstyle(capsys.readouterr().out).splitlines()
    assert max(map(cell_len, lines)) <= width
    said = "".join(char for line in lines for char in line if char.isalnum())
    assert "smollm2" in said or width == 20


@pytest.mark.parametrize("width", [30, 60, 110])
def test_the_preview_is_no_wider_than_the_terminal(
    cli, quick, corpus, tmp_path, monkeypatch, width
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    source = corpus({"id": "a-rather-long-id-of-a-document", "text": "Ada met Charles."})
    done = cli("run", source, "-p", quick(), "-o", tmp_path / "out")
    table = done.out[done.out.index("answers (1 row)") :].splitlines()
    assert max(map(cell_len, table)) <= width


def test_a_preview_without_an_answer_is_left_out_and_the_reasons_are_said(
    cli, quick, corpus, tmp_path
) -> None:
    source = corpus({"body": "Ada met Charles."}, {"body": "Where?"}, {"text": ""})
    done = cli("run", source, "-p", quick(), "-o", tmp_path / "my out")
    assert done.code == 3
    assert "answers" not in done.out
    assert "  2 × missing_text: " in done.err
    assert "has no 'text'; it has: body. Name the field with --text-key.\n" in done.err
    assert "  1 × empty_text: " in done.err
    assert f"nlp-pipeline errors '{tmp_path / 'my out'}'" in done.err


def complete(typed: str) -> list[str]:
    """What bash is offered after these words, as `TYPE,VALUE`."""
    words = typed.split(" ")
    asked = {
        "_NLP_PIPELINE_COMPLETE": "bash_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "nlp_pipeline"],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("nlp-pipeline mo", "plain,models"),
        ("nlp-pipeline golden re", "plain,record"),
        ("nlp-pipeline run --text", "plain,--text-key"),
        ("nlp-pipeline run x -p fr", "plain,fr_qa"),
        ("nlp-pipeline run corp", "file,corp"),
        ("nlp-pipeline export ru", "file,ru"),
        ("nlp-pipeline models fetch smo", "plain,smollm2-135m-instruct"),
    ],
)
def test_completion(typed, expected) -> None:
    assert complete(typed) == [expected]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_scripts_of_the_docs(shell) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "nlp_pipeline"],
        env={**os.environ, "_NLP_PIPELINE_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "_NLP_PIPELINE_COMPLETE=" in done.stdout
    assert "nlp-pipeline" in done.stdout
    if shell == "bash":
        subprocess.run(["bash", "-n"], input=done.stdout, text=True, check=True)
