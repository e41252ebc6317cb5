"""A run whose documents have meta of every kind, made once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nlp_pipeline.runner.run import run

RECORDS = [
    {"id": "a", "text": "=1+1 said Ada.", "author": "Ada", "Author": 1, "n": 1, "at": {"x": 1}},
    {"id": "b", "text": "Grace met Ada. Ada left.", "n": 2.5, "tags": ["=x", "y"], "ok": True},
    {
        "id": "c",
        "text": "A\x07B " + "long " * 7000,
        "author": 7,
        "at": {"x": 2, "y": {}},
        "n": None,
    },
    {"id": "d", "text": ""},
]


@pytest.fixture(scope="session")
def meta_run(tmp_path_factory: pytest.TempPathFactory, quick_text: str) -> Path:
    """The folder of a run in two parts, one record of which is rejected. Change nothing of it."""
    folder = tmp_path_factory.mktemp("meta_run")
    (folder / "quick.cfg").write_text(quick_text, encoding="utf-8")
    lines = "".join(json.dumps(record) + "\n" for record in RECORDS)
    (folder / "corpus.jsonl").write_text(lines, encoding="utf-8")
    pipeline = str(folder / "quick.cfg")
    run(folder / "corpus.jsonl", folder / "out", pipeline=pipeline, part_size=2)
    return folder / "out"
