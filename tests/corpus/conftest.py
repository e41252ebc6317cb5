from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline.corpus import Record, Reject, read_corpus


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Writes a file into the current folder, so that messages hold no temporary path."""
    monkeypatch.chdir(tmp_path)

    def write_file(name: str, content: bytes | str) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return name

    return write_file


@pytest.fixture
def read(write: Callable[..., str]) -> Callable[..., list[Record | Reject]]:
    """Writes a file and reads it as a corpus."""

    def read_file(name: str, content: bytes | str, **options: Any) -> list[Record | Reject]:
        return list(read_corpus(write(name, content), **options))

    return read_file
