"""`nlp-pipeline golden`: results on stdout, remarks on stderr, the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nlp_pipeline.cli.golden import golden
from nlp_pipeline.errors.config import TwoDevices
from nlp_pipeline.errors.golden import GoldenFolderInUse
from nlp_pipeline.tables import TABLES
from nlp_pipeline.tables.equality import ATOL, RTOL

RECORD = ["record", "corpus.jsonl", "-p", "mine.cfg", "-d", "golden/mine", "--quiet"]


def call(*words: str) -> Result:
    return CliRunner().invoke(golden, words)


@pytest.fixture
def recorded(project: Path) -> Path:
    done = call(*RECORD)
    assert done.exit_code == 0, done.output
    assert done.stdout == (
        f"Recorded {len(TABLES)} tables in golden/mine/ (portable).\n"
        "Check them with: nlp-pipeline golden check golden/mine\n"
    )
    return project


def test_check(recorded: Path) -> None:
    done = call("check", "golden/mine")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"golden/mine: as recorded ({len(TABLES)} tables, ")
    assert call("check", "golden/mine", "--quiet").stdout == ""


def test_a_difference_is_a_result(recorded: Path, change: Callable[[Path, str, str], None]) -> None:
    change(recorded / "mine.cfg", "Who is named?", "Who was named?")
    done = call("check", "golden/mine", "--quiet", "--per-table", "1")
    assert done.exit_code == 1
    assert done.stderr == ""
    assert "\nanswers: 4 differences\n" in done.stdout
    assert "\n  … and 3 more (" in done.stdout
    done = call("check", "golden/mine", "--update", "--quiet")
    assert done.exit_code == 0
    assert done.stdout.startswith("golden/mine: updated, 4 differences accepted.\nanswers: 4")
    assert call("check", "golden/mine").exit_code == 0


def test_one_that_cannot_be_checked_keeps_no_other_from_it(recorded: Path) -> None:
    done = call("check", "nowhere", "golden/mine")
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: 'nowhere' holds no golden output")
    assert "golden/mine: as recorded" in done.stdout


def test_every_option_reaches_the_recipe(project: Path) -> None:
    done = call(
        *RECORD,
        *("-q", "Who?", "--set", "components.llama_qa.max_new_tokens=2", "--table", "answers"),
        *("--model", "none", "--device", "cpu", "--echo", "--limit", "1"),
        *("--text-key", "id", "--id-key", "text", "--rtol", "0.5", "--atol", "0.25"),
    )
    assert done.exit_code == 0, done.output
    from nlp_pipeline.golden.store import read_golden

    command = read_golden(Path("golden/mine")).command
    assert command == (
        "nlp-pipeline golden record corpus.jsonl -p mine.cfg -d golden/mine -q 'Who?' "
        "--set components.llama_qa.max_new_tokens=2 --table answers --model none --device cpu "
        "--limit 1 --text-key id --id-key text --rtol 0.5 --atol 0.25 --echo"
    )
    assert call("check", "golden/mine").exit_code == 0


def test_the_defaults_are_those_of_the_library() -> None:
    shown = call("record", "--help").stdout
    assert f"[default: {RTOL};" in " ".join(shown.split())
    assert f"[default: {ATOL};" in " ".join(shown.split())


def test_errors_are_left_to_the_one_place_that_shows_them(project: Path) -> None:
    words = ["record", "corpus.jsonl", "-p", "mine.cfg", "-d", ".", "--quiet"]
    assert isinstance(call(*words).exception, GoldenFolderInUse)


def test_the_device_and_the_folder_by_the_names_that_spacy_has(project: Path) -> None:
    words = ["record", "corpus.jsonl", "-p", "mine.cfg", "--output", "golden/mine", "--quiet"]
    done = call(*words, "--gpu-id", "-1")
    assert done.exit_code == 0, done.output
    command = json.loads(Path("golden/mine/golden.json").read_text(encoding="utf-8"))["command"]
    assert "--device cpu" in command
    refused = call(*words, "--gpu-id", "0", "--device", "cpu")
    assert isinstance(refused.exception, TwoDevices)
