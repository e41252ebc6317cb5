"""The README's code blocks run, as they stand, and print what it says they print."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import fresh
import pytest

from nlp_pipeline import models

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(m["language"], m["body"]) for m in FENCE.finditer(TEXT)]

needs_model = pytest.mark.skipif(
    models.verify(models.DEFAULT_MODEL) != "ok",
    reason="the default model is not in the cache: nlp-pipeline models fetch",
)


def commands() -> list[str]:
    """Every `nlp-pipeline` line of the README's shell blocks, line continuations joined."""
    bodies = [body.replace("\\\n", " ") for language, body in BLOCKS if language == "bash"]
    lines = [line.split(" && ")[-1] for body in bodies for line in body.splitlines()]
    return [line for line in lines if line.startswith("nlp-pipeline ")]


def pythons() -> list[str]:
    """The README's Python blocks."""
    return [body for language, body in BLOCKS if language == "python"]


def test_the_readme_has_code() -> None:
    assert len(commands()) >= 4
    assert pythons()


def test_the_commands_in_their_order(cli, tmp_path, monkeypatch, tiny_llama) -> None:
    """Runs take the echo and few documents here, a training the tiny Llama and few steps."""
    for name in ("corpora", "pipelines"):
        os.symlink(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for command in commands():
        words = shlex.split(command, comments=True)[1:]
        if {"run", "record", "evaluate"} & set(words):
            words += ["--echo", "--limit", "2"]
        if words[0] == "train":  # the echo has no weights, and LoRA needs an extra
            words += ["--model", tiny_llama, "--method", "full", "--max-steps", "2"]
        done = cli(*words)
        assert done.code == 0, f"{command}: {done.err}"


@needs_model
@pytest.mark.parametrize("block", pythons())
def test_python(block: str, tmp_path: Path) -> None:
    """As a program of its own, on the real model, with the output that its comments promise."""
    os.symlink(ROOT / "corpora", tmp_path / "corpora")
    done = fresh.run(block, tmp_path)
    assert done.returncode == 0, done.stderr
    promised = re.findall(r"# prints: (.*)", block)
    assert done.stdout.strip().splitlines() == promised
