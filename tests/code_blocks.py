"""The code blocks of a Markdown page, and what it takes to run them as a reader would."""

from __future__ import annotations

import io
import os
import re
import shlex
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>file|not run): (?P<value>.*?) -->\n)?"
    r"^```(?P<language>[^\n]*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
RUNNABLE = ("bash", "python")
TRAINING_RECORDS = 40
"""So many are enough for a distillation, and soon computed."""


class Block(NamedTuple):
    """A fenced block; `mark` is `file` or `not run`, from the comment above it."""

    language: str
    body: str
    mark: str | None
    value: str | None


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, without directives such as `{toctree}`."""
    found = _BLOCK.finditer(page.read_text(encoding="utf-8"))
    made = [Block(m["language"], m["body"], m["mark"], m["value"]) for m in found]
    return [block for block in made if not block.language.startswith("{")]


def link_corpora(folder: Path) -> None:
    """The sample corpora under their names; of the one for training its first records."""
    folder.mkdir()
    for entry in (ROOT / "corpora").iterdir():
        if entry.name != "training.jsonl":
            os.symlink(entry, folder / entry.name)
            continue
        lines = entry.read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / entry.name).write_text("".join(lines[:TRAINING_RECORDS]), encoding="utf-8")


class Reader:
    """Types what a page says, in a folder that looks like a checkout.

    `run`, `evaluate` and `golden record` take the echo generator (for labels the tiny Llama) and
    few documents, `train` the tiny Llama and few steps, `distil` few steps; all else is as it
    stands. Python blocks of a page share their names, as in one session.
    """

    def __init__(self, folder: Path, cli: Callable[..., Any], patch: pytest.MonkeyPatch) -> None:
        os.symlink(ROOT / "pipelines", folder / "pipelines")
        link_corpora(folder / "corpora")
        patch.chdir(folder)
        self._folder, self._cli, self._patch = folder, cli, patch
        self._names: dict[str, Any] = {"__name__": "page"}

    def read(self, block: Block) -> None:
        """Runs a block, or writes the file that it is."""
        if block.mark == "file":
            path = self._folder / str(block.value)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.body, encoding="utf-8")
        elif block.mark is None and block.language == "bash":
            for line in block.body.replace("\\\n", " ").splitlines():
                self._type(line)
        elif block.mark is None and block.language == "python":
            said = io.StringIO()
            with redirect_stdout(said):
                exec(compile(block.body, "block", "exec"), self._names)
            lines = [line.strip() for line in said.getvalue().splitlines()]
            promised = re.findall(r"# prints: +(.*)", block.body)
            assert lines == promised, f"{lines} is not {promised}"

    def _type(self, line: str) -> None:
        words = shlex.split(line, comments=True)
        with self._patch.context() as patch:
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                patch.setenv(*words.pop(0).split("=", 1))
            if not words:
                return
            if words[0] == "pytest":
                # In this process: another one would import everything again.
                aside = ["--import-mode=importlib", "--capture=no", "-p", "no:cacheprovider"]
                assert pytest.main([*words[1:], *aside, f"--rootdir={self._folder}"]) == 0, line
                return
            assert words.pop(0) == "nlp-pipeline", f"no way to run: {line}"
            done = self._cli(*words, *self._less(words))
            assert done.code == 0, f"{line}: {done.err}"

    @staticmethod
    def _less(words: list[str]) -> list[str]:
        if words[0] in ("run", "evaluate") or words[:2] == ["golden", "record"]:
            if "--run" in words:
                return []
            if "en_classify" in words:  # the echo gives all documents one label
                limit = "2" if "corpora/training.jsonl" not in words else str(TRAINING_RECORDS)
                return ["--model", str(ROOT / "tests/data/tiny_llama"), "--limit", limit]
            return [*(["--echo"] * ("--echo" not in words)), "--limit", "2"]
        if words[0] == "distil":  # the tiny Llama is wrong, and not sure of it
            return ["--max-steps", "2", "--min-confidence", "0", "--anyway"]
        if words[0] == "train":  # the echo has no weights, and LoRA needs an extra
            return [
                "--model",
                str(ROOT / "tests/data/tiny_llama"),
                "--method",
                "full",
                "--max-steps",
                "2",
            ]
        return []
