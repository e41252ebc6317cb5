"""A run that was begun by an earlier version of this code goes on: nothing of it is lost."""

from __future__ import annotations

import json
import shutil
from base64 import b64decode
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nlp_pipeline import compare_runs, read_run, retry
from nlp_pipeline.errors.run_folder import DifferentRun
from nlp_pipeline.pipeline import PipelineSpec
from nlp_pipeline.report import write_report
from nlp_pipeline.run_folder.folder import MANIFEST
from nlp_pipeline.run_folder.status import run_status
from nlp_pipeline.runner.manifest import versions
from nlp_pipeline.runner.request import RunRequest
from nlp_pipeline.runner.run import execute
from nlp_pipeline.tables.schemas import SCHEMA_VERSION

DATA = Path(__file__).parents[1] / "data"
FIRST, SCHEMA_2 = "run_of_before.json", "run_of_schema_2.json"
"""Folders of runs that stopped at the fourth of five documents; `made_with` says by what.

The first is of before completions were kept, the second of the last code whose tables had a column
`grounded`.
"""


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> Path:
    """A folder, as if this machine's packages had made it, in the working directory."""
    run: dict[str, Any] = json.loads((DATA / request.param).read_text(encoding="utf-8"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(DATA / "tiny_llama", "tiny_llama")
    for name, text in run["inputs"].items():
        Path(name).write_text(text, encoding="utf-8")
    files = {name: text.encode() for name, text in run["folder"].items()}
    files |= {name: b64decode(data) for name, data in run.get("binary", {}).items()}
    for name, content in files.items():
        file = Path("before", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    manifest = json.loads(Path("before", MANIFEST).read_text())
    manifest["fingerprint"]["versions"] = versions()
    Path("before", MANIFEST).write_text(json.dumps(manifest))
    return Path("before")


def request_of(out: Path) -> RunRequest:
    return RunRequest(
        "before.jsonl", out, PipelineSpec("before.cfg"), part_size=3, format="jsonl", batch_size=1
    )


@pytest.mark.parametrize("before", [FIRST, SCHEMA_2], indirect=True)
def test_it_is_read_under_the_names_of_now(before: Path) -> None:
    status = run_status(before)
    assert (status.state, status.done, status.failed, status.left) == ("interrupted", 4, 1, 1)
    answers = read_run(before, "answers")["answers"]
    assert list(answers["alignment"]) == ["none"] * 3
    assert "grounded" not in answers
    (column,) = (frame := read_run(before, "answers", {"answers": ["alignment"]})["answers"])
    assert (column, list(frame[column])) == ("alignment", ["none"] * 3)
    assert write_report(before, Path("report.html"))
    values = compare_runs(before, before).values
    assert [(row["same"], row["newly_grounded"]) for row in values] == [(3, 0), (3, 0)]


@pytest.mark.parametrize("before", [SCHEMA_2], indirect=True)
def test_it_goes_on_with_all_rows_anew_and_no_question_asked_again(before: Path) -> None:
    result = execute(request_of(before))
    assert (result.documents, result.failed) == (5, 1)
    execute(request_of(Path("anew")))
    old, new = read_run(before), read_run("anew")
    for name in ("documents", "tokens", "answers", "summaries", "answer_entities"):
        # What was computed already depends on which requests came together.
        left, right = (
            run[name].drop(columns="reused_tokens", errors="ignore") for run in (old, new)
        )
        pd.testing.assert_frame_equal(left, right, obj=name)
    assert "grounded" not in Path(before, "answers", "part-00000.jsonl").read_text()


@pytest.mark.parametrize("before", [FIRST], indirect=True)
def test_without_completions_other_tables_are_refused_by_name(before: Path) -> None:
    with pytest.raises(DifferentRun, match=f"schema: 2 → {SCHEMA_VERSION}.*(\n.*)*begun before"):
        execute(request_of(before))


@pytest.mark.parametrize("before", [SCHEMA_2], indirect=True)
def test_a_retry_says_how_the_tables_get_the_columns_of_now(before: Path) -> None:
    with pytest.raises(DifferentRun, match=r"schema: 2 → .*\nRun the command of the run again"):
        retry(before)
