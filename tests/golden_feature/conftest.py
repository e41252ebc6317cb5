"""A corpus, a pipeline without a model, and a folder to stand in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

TEXTS = {"a": "Anna Berg came. She left.", "b": "Omar Haddad stayed."}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_text: str) -> Path:
    """A checkout with `corpus.jsonl` and `mine.cfg`, in which commands are typed."""
    root = tmp_path / "project"
    root.mkdir()
    lines = [json.dumps({"id": key, "text": text}) for key, text in TEXTS.items()]
    (root / "corpus.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    # Some of the tests put another generator there, which has no such setting.
    config = quick_text.replace('fail_on = "UNSPEAKABLE"\n', "")
    (root / "mine.cfg").write_text(config, encoding="utf-8")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def change() -> Callable[[Path, str, str], None]:
    """Replaces a text of a file by another."""

    def replace(file: Path, old: str, new: str) -> None:
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")

    return replace
