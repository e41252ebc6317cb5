"""A run that was begun by an earlier version of this code goes on: nothing of it is lost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nlp_pipeline import read_run
from nlp_pipeline.errors.run_folder import DifferentRun
from nlp_pipeline.pipeline import PipelineSpec
from nlp_pipeline.run_folder.folder import MANIFEST
from nlp_pipeline.run_folder.status import run_status
from nlp_pipeline.runner.manifest import versions
from nlp_pipeline.runner.request import RunRequest
from nlp_pipeline.runner.run import execute
from nlp_pipeline.tables.schemas import SCHEMA_VERSION

DATA = Path(__file__).parents[1] / "data"
BEFORE: dict[str, Any] = json.loads((DATA / "run_of_before.json").read_text(encoding="utf-8"))
"""The folder of a run that stopped at the fourth of five documents; `made_with` says by what."""

CUT_SINCE = (
    *("summary", "status", "support_score", "unsupported_entities", "unsupported_numbers"),
    *("cut", "dropped", "n_tries"),
)
"""What says something else where a summary of before ended in mid-sentence."""


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, as if this machine's packages had made it, in the working directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(DATA / "tiny_llama", "tiny_llama")
    for name, text in BEFORE["inputs"].items():
        Path(name).write_text(text, encoding="utf-8")
    for name, text in BEFORE["folder"].items():
        file = Path("before", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    manifest = json.loads(Path("before", MANIFEST).read_text())
    manifest["fingerprint"]["versions"] = versions()
    Path("before", MANIFEST).write_text(json.dumps(manifest))
    return Path("before")


def request(out: Path) -> RunRequest:
    return RunRequest(
        "before.jsonl", out, PipelineSpec("before.cfg"), part_size=3, format="jsonl", batch_size=1
    )


def test_it_is_read(before: Path) -> None:
    status = run_status(before)
    assert (status.state, status.done, status.failed, status.left) == ("interrupted", 4, 1, 1)


@pytest.mark.skipif(SCHEMA_VERSION != "2", reason="the tables have other columns since")
def test_it_goes_on(before: Path) -> None:
    result = execute(request(before))
    assert (result.documents, result.failed, result.resumed) == (5, 1, 3)
    execute(request(Path("anew")))
    old, new = read_run(before), read_run("anew")
    for name in ("documents", "tokens", "answers", "summaries", "answer_entities"):
        # A column that has come since is null in the rows of before.
        but = ["reused_tokens", "reasoning_tokens", "asked_sentences", "candidate_score"]
        but += CUT_SINCE if name == "summaries" else ()
        left, right = (frame[name].drop(columns=but, errors="ignore") for frame in (old, new))
        if name == "answer_entities":
            left = left[left["question_id"].notna()].reset_index(drop=True)
            right = right[right["question_id"].notna()].reset_index(drop=True)
        pd.testing.assert_frame_equal(left, right, obj=name)
    (attempt,) = old["errors"]["attempt"]
    assert attempt == 2  # it failed before, and was tried again


def test_other_tables_are_refused_by_name(before: Path) -> None:
    manifest = json.loads((before / MANIFEST).read_text())
    manifest["fingerprint"]["schema"] = "1"
    (before / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(DifferentRun, match=f"schema: 1 → {SCHEMA_VERSION}"):
        execute(request(before))
