"""The pytest plugin: the fixture `golden` and the option `--golden-update`.

Both are there as soon as nlp-pipeline is installed; nothing has to be imported::

    def test_my_pipeline(golden):
        golden.check("tests/golden/my_case")  # recorded with `nlp-pipeline golden record`

    def test_my_component(golden):
        docs = nlp.pipe(TEXTS)
        golden.check_frames(nlp_pipeline.to_frames(docs), "tests/golden/my_component")

`pytest --golden-update` accepts what is found, and says at the end what it wrote; look at it with
`git diff`. Never give that option in continuous integration.

Folders are relative to pytest's root folder. Record with a model in float64
(`--set components.llama_qa.generator.dtype=float64`) or with `--echo` what other machines
shall check as well. A golden output of a model in float32 or on a GPU names its platform; on
another one `golden.check(folder, other_platform="skip")` skips the test.

Nothing but pytest is imported here until a test asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from nlp_pipeline.errors.base import NlpPipelineError

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd

    from nlp_pipeline.golden.checker import Checked

OPTION = "--golden-update"
_UPDATED_FOLDERS = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--golden-update`."""
    parser.getgroup("nlp-pipeline", "golden outputs of nlp-pipeline").addoption(
        OPTION,
        action="store_true",
        help="accept what is found: write it in place of the recorded golden outputs",
    )


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Tells at the end of a test run which golden outputs were written."""
    folders = config.stash.get(_UPDATED_FOLDERS, [])
    if folders:
        terminalreporter.section("golden outputs written")
        for line in folders:
            terminalreporter.write_line(line)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> GoldenFixture:
    """Compares tables with recorded ones; see the module `nlp_pipeline.golden.fixture`."""
    return GoldenFixture(request)


def _or_fail(act: Callable[[], Checked | str]) -> Checked | str:
    """Fails the test with the message of an error alone: no traceback says more."""
    try:
        return act()
    except NlpPipelineError as error:
        message = str(error)
    pytest.fail(message, pytrace=False)


class GoldenFixture:
    """What the fixture `golden` gives a test.

    Args:
        request: Of the test.
    """

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._root = request.config.rootpath
        self._node = request.node.nodeid
        self._updated_folders = request.config.stash.setdefault(_UPDATED_FOLDERS, [])
        self.update: bool = request.config.getoption(OPTION)

    def check(
        self,
        folder: str | PathLike[str],
        *,
        other_platform: Literal["compare", "skip"] = "compare",
    ) -> None:
        """Runs the pipeline as recorded and fails the test if a table has changed.

        Args:
            folder: What `nlp-pipeline golden record` wrote.
            other_platform: What to do with a golden output that is not portable on another
                platform than it was recorded on: compare (a failure says so) or skip the test.
        """
        from nlp_pipeline.golden.checker import check
        from nlp_pipeline.golden.facts import recorded_elsewhere
        from nlp_pipeline.golden.store import read_golden

        path = self._path(folder)

        def act() -> Checked | str:
            skip = other_platform == "skip" and recorded_elsewhere(read_golden(path))
            return skip or check(path, update=self.update)

        self._end(path, _or_fail(act))

    def check_frames(
        self,
        frames: Mapping[str, pd.DataFrame],
        folder: str | PathLike[str],
        *,
        rtol: float = 1e-4,
        atol: float = 1e-5,
        portable: bool = True,
    ) -> None:
        """Fails the test if tables in memory are not as recorded.

        The first recording is made by `pytest --golden-update`.

        Args:
            frames: Any frames by name, such as those of `nlp_pipeline.to_frames(docs)`.
            folder: The golden output.
            rtol: How far numbers may be off, relative to the recorded one.
            atol: The same, absolute; the two add up.
            portable: Whether other machines should give the same.
        """
        from nlp_pipeline.golden.checker import check_frames

        path = self._path(folder)
        command = f"pytest '{self._node}' {OPTION}"
        act = partial(
            check_frames,
            frames,
            path,
            command=command,
            update=self.update,
            rtol=rtol,
            atol=atol,
            portable=portable,
        )
        self._end(path, _or_fail(act))

    def _path(self, folder: str | PathLike[str]) -> Path:
        """Relative to the working directory where it can be, as messages show it."""
        path, working_folder = self._root / folder, Path.cwd()
        return path.relative_to(working_folder) if path.is_relative_to(working_folder) else path

    def _end(self, path: Path, checked: Checked | str) -> None:
        """Keeps what was written for the summary, or skips the test for the reason given."""
        if isinstance(checked, str):
            pytest.skip(checked)
        if checked.updated:
            self._updated_folders.append(f"{path}: {len(checked.differences)} differences accepted")
