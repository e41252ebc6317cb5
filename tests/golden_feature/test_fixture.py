"""The fixture `golden` in somebody else's suite."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nlp_pipeline.golden import record

pytest_plugins = ["pytester"]

CHECK = """
def test_mine(golden):
    golden.check("golden/mine")
"""
FRAMES = """
import spacy
from nlp_pipeline import to_frames

def test_mine(golden):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    golden.check_frames(to_frames([nlp("{text}")]), "golden/frames")
"""


@pytest.fixture
def recorded(project: Path) -> Path:
    """A project with a golden output.

    Recording imports all that a run needs: pytester forgets what is imported after its start,
    and torch cannot be imported twice.
    """
    record("corpus.jsonl", "golden/mine", pipeline="mine.cfg")
    return project


@pytest.fixture
def suite(recorded: Path, pytester: pytest.Pytester) -> pytest.Pytester:
    """A suite in its own root folder, with the corpus, the pipeline and a golden output."""
    shutil.copytree(recorded, pytester.path, dirs_exist_ok=True)
    pytester.makeini("[pytest]")
    return pytester


def test_check(suite: pytest.Pytester, change: Callable[[Path, str, str], None]) -> None:
    suite.makepyfile(CHECK)
    suite.runpytest().assert_outcomes(passed=1)
    change(suite.path / "mine.cfg", "Who is named?", "Who was named?")
    failed = suite.runpytest()
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(
        [
            "golden/mine is not as it was recorded: 4 differences.",
            "answers: 4 differences",
            "  document_id=a, question_id=who, component=llama_qa",
            '    question: expected "Who is named?"',
            '              found    "Who was named?"',
            "                            ^^",
            "If this is the output that you want, accept it: *",
        ]
    )
    failed.stdout.no_fnmatch_line("*During handling of*")
    failed.stdout.no_fnmatch_line("*fixture.py:*")
    updated = suite.runpytest("--golden-update")
    updated.assert_outcomes(passed=1)
    updated.stdout.fnmatch_lines(
        ["*golden outputs written*", "golden/mine: 4 differences accepted"]
    )
    again = suite.runpytest()
    again.assert_outcomes(passed=1)
    again.stdout.no_fnmatch_line("*golden outputs written*")


def test_folders_are_relative_to_the_root_folder(suite: pytest.Pytester) -> None:
    suite.mkdir("tests")
    (suite.path / "tests" / "test_deep.py").write_text(CHECK, encoding="utf-8")
    (suite.path / "elsewhere").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(suite.path / "elsewhere")
        done = suite.runpytest("../tests", "--rootdir", str(suite.path))
    done.assert_outcomes(passed=1)


def test_check_without_a_golden_output_says_how_to_record_one(suite: pytest.Pytester) -> None:
    suite.makepyfile(CHECK.replace("mine", "other"))
    for options in ([], ["--golden-update"]):
        done = suite.runpytest(*options)
        done.assert_outcomes(failed=1)
        done.stdout.fnmatch_lines(["'golden/other' holds no golden output *golden record CORPUS*"])


def test_check_frames(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_it=FRAMES.format(text="One. Two."))
    missing = suite.runpytest()
    missing.assert_outcomes(failed=1)
    missing.stdout.fnmatch_lines(["*Record one with `pytest 'test_it.py::test_mine' --golden-up*"])
    suite.runpytest("--golden-update").assert_outcomes(passed=1)
    suite.runpytest().assert_outcomes(passed=1)
    suite.makepyfile(test_it=FRAMES.format(text="One. Three."))
    failed = suite.runpytest()
    failed.assert_outcomes(failed=1)
    failed.stdout.fnmatch_lines(['    text: expected "One. Two."', "*--golden-update"])
    suite.runpytest("--golden-update").assert_outcomes(passed=1)
    suite.runpytest().assert_outcomes(passed=1)


def test_a_golden_output_of_a_test_has_no_run(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_it=FRAMES.format(text="One."))
    suite.runpytest("--golden-update").assert_outcomes(passed=1)
    suite.makepyfile(test_it=CHECK.replace("golden/mine", "golden/frames"))
    done = suite.runpytest()
    done.stdout.fnmatch_lines(["*by a test from tables in memory: *pytest 'test_it.py::test_m*"])


def test_other_platform(suite: pytest.Pytester, change: Callable[[Path, str, str], None]) -> None:
    suite.makepyfile(CHECK.replace('mine")', 'mine", other_platform="skip")'))
    suite.runpytest().assert_outcomes(passed=1)
    file = suite.path / "golden" / "mine" / "golden.json"
    change(file, '"portable": true', '"portable": false')
    suite.runpytest().assert_outcomes(passed=1)
    change(file, '"system": "', '"system": "Other')
    done = suite.runpytest("-rs")
    done.assert_outcomes(skipped=1)
    done.stdout.fnmatch_lines(["*recorded on another platform*"])


def test_the_plugin_imports_nothing_heavy() -> None:
    code = (
        "import sys, nlp_pipeline.golden.fixture\n"
        "heavy = {'spacy', 'torch', 'pandas', 'pyarrow', 'transformers', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
