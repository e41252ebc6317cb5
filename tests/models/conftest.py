"""A model of a few kilobytes in a wheel of its own, and a cache in the test's folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from wheel_maker import WheelMaker


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model cache of this test alone; nothing may be downloaded to it from a network."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("NLP_PIPELINE_CACHE", str(folder))
    monkeypatch.delenv("NLP_PIPELINE_OFFLINE", raising=False)
    return folder


@pytest.fixture
def make_wheel(tmp_path: Path) -> WheelMaker:
    return WheelMaker(tmp_path / "wheels")
