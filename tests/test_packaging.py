"""What setup.py says and what the messages say of it."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from nlp_pipeline import __version__
from nlp_pipeline.environment import DISTRIBUTION
from nlp_pipeline.errors.packages import REQUIREMENTS, pip_install
from nlp_pipeline.pipeline import small_english

ROOT = Path(__file__).parents[1]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("training/*.md")]
SOURCES = [file for place in ("nlp_pipeline", "training") for file in (ROOT / place).rglob("*.py")]


@pytest.fixture(scope="module")
def facts() -> dict[str, Any]:
    """The keyword arguments of setup.py's call."""
    given: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("setuptools.setup", lambda **facts: given.update(facts))
        patch.chdir(ROOT)
        runpy.run_path("setup.py")
    return given


def test_the_version_stands_once(facts: dict[str, Any]) -> None:
    assert facts["version"] == __version__
    assert f'"{__version__}"' not in (ROOT / "setup.py").read_text()
    assert f'"{__version__}"' not in (ROOT / "pyproject.toml").read_text()


def test_the_name_is_not_that_of_the_other_project(facts: dict[str, Any]) -> None:
    assert facts["name"] == DISTRIBUTION != "nlp-pipeline"
    (script,) = facts["entry_points"]["console_scripts"]
    assert script.startswith("nlp-pipeline = nlp_pipeline.")


@pytest.mark.parametrize("file", [*PAGES, *SOURCES], ids=lambda file: file.name)
def test_nobody_is_told_to_install_the_other_project(file: Path) -> None:
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if "pip" in line]
    wrong = [line for line in lines if re.search(r"pip3? install [\"']*nlp[-_]pipeline(?!-)", line)]
    assert [line for line in wrong if "would fetch another project" not in line] == []


def test_messages_name_the_packages_of_the_extras(facts: dict[str, Any]) -> None:
    for extra, requirements in REQUIREMENTS.items():
        wanted = [Requirement(text) for text in facts["extras_require"][extra]]
        assert [(item.name, str(item.specifier)) for item in wanted] == [
            (item.name, str(item.specifier)) for item in map(Requirement, requirements)
        ]
    assert pip_install("structured") == ("pip install 'llguidance>=1.5,<2' 'jsonschema>=4.20,<5'")


def test_the_re_upload_is_a_dependency(facts: dict[str, Any]) -> None:
    assert small_english.REQUIREMENT in facts["install_requires"]


def test_the_core_holds_nobody_at_an_old_transformers(facts: dict[str, Any]) -> None:
    core = {item.name: item for item in map(Requirement, facts["install_requires"])}
    assert "spacy-transformers" not in core
    assert core["transformers"].specifier.contains("5.24.0")
    tests = [Requirement(text).name for text in facts["extras_require"]["test"]]
    assert "spacy-transformers" not in tests
