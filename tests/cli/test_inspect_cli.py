"""`status`, `errors`, `show` and `export`: what a run holds, on the terminal."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from nlp_pipeline.pipeline import PipelineSpec
from nlp_pipeline.runner import run as runner
from nlp_pipeline.runner.request import RunRequest, Silent
from nlp_pipeline.runner.run import execute


@pytest.fixture
def out(tmp_path, quick, corpus):
    """A run with an answer, a record without a text and one that the generator fails on."""
    source = corpus(
        {"id": "ada", "text": "Ada met \x1b[31mCharles."},
        {"id": "b"},
        {"id": "mute", "text": "UNSPEAKABLE"},
    )
    runner.run(source, tmp_path / "out", pipeline=quick())
    return tmp_path / "out"


def test_status(cli, out) -> None:
    done = cli("status", out)
    assert done.code == 0
    assert done.out.startswith("finished: 3 of 3 documents, 1 ok, 2 failed\n")
    assert json.loads(cli("status", out, "--json").out)["failed"] == 2


def test_errors_by_type(cli, out) -> None:
    done = cli("errors", out)
    assert "1 × missing_text (stage read)" in done.out
    assert "documents: b" in done.out
    assert "1 × generation_failed (stage generate, trying again can help)" in done.out
    assert "documents: mute" in done.out
    one = cli("errors", out, "--type", "generation_failed")
    assert one.out == "mute: Generation failed: the prompt holds 'UNSPEAKABLE'\n"
    assert json.loads(cli("errors", out, "--json").out)[0]["type"] == "missing_text"
    assert cli("errors", out, "--type", "x").out == "No errors of type x.\n"


def test_a_type_of_errors_that_is_nearly_one(cli, out) -> None:
    message = "No errors of type Missing_tex. Did you mean 'missing_text'?"
    assert cli("errors", out, "--type", "Missing_tex").out == f"{message}\n"
    done = cli("retry", out, "--type", "Missing_tex", "--type", "missing_text")
    assert done.err.splitlines().count(message) == 1
    assert "of type missing_text" not in done.err


def test_show_escapes_what_the_document_holds(cli, out) -> None:
    done = cli("show", out, "ada")
    assert done.out.startswith("ada  (ok)\n")
    assert "\\x1b[31mCharles." in done.out
    assert "Who is named?: " in done.out
    assert "\x1b" not in done.out


def test_show_says_what_failed(cli, out) -> None:
    assert "generate: Generation failed" in cli("show", out, "mute").out


def test_show_of_an_unknown_document(cli, out) -> None:
    done = cli("show", out, "nobody")
    assert done.code == 1
    assert f"The run in '{out}' has no document 'nobody'" in done.err


def test_export(cli, out, tmp_path) -> None:
    done = cli("export", out, tmp_path / "t", "--format", "csv", "--table", "answers")
    assert done.out == f"{tmp_path}/t/answers.csv\n"


def test_a_run_that_is_still_going_on_can_be_looked_at(cli, tmp_path, quick, corpus) -> None:
    """Seen from inside of it, while its second part is in the making."""
    texts = ["Ada.", "UNSPEAKABLE", *["Ada."] * 4]
    source = corpus(*({"id": f"d{n}", "text": text} for n, text in enumerate(texts)))
    out, seen = tmp_path / "out", {}

    class Looker(Silent):
        done = 0

        def document(self, *, failed: bool, output_tokens: int) -> None:
            self.done += 1
            if self.done == 5:
                seen["status"] = json.loads(cli("status", out, "--json").out)
                seen["errors"] = cli("errors", out).out
                seen["show"] = cli("show", out, "d0").out
                seen["later"] = cli("show", out, "d5").err
                seen["export"] = cli("export", out, tmp_path / "t", "--table", "documents").code

    execute(RunRequest(source, out, PipelineSpec(quick()), part_size=3), Looker())
    assert (seen["status"]["state"], seen["status"]["total"]) == ("running", 6)
    assert 3 <= seen["status"]["done"] <= 5
    assert seen["status"]["failed"] == 1
    assert "documents: d1" in seen["errors"]
    assert seen["show"].startswith("d0  (ok)\n")
    assert "has no document 'd5'" in seen["later"]
    assert seen["export"] == 0
    exported = pd.read_parquet(tmp_path / "t" / "documents.parquet")
    assert list(exported["document_id"]) == ["d0", "d1", "d2"]


def test_retry(cli, out) -> None:
    done = cli("retry", out)
    assert done.code == 3
    assert done.out == "1 document tried again; of 3 now 2 failed.\n"
    done = cli("retry", out, "--id", "b", "--json", "--quiet")
    assert json.loads(done.out)["resumed"] == 3
    assert done.err == ""
    assert [e["attempt"] for e in json.loads(cli("errors", out, "--json").out)] == [1, 2]


@pytest.mark.parametrize(
    "command", [["status"], ["errors"], ["retry"], ["show", "x"], ["export", "y"], ["report"]]
)
def test_no_run(cli, tmp_path, command) -> None:
    done = cli(command[0], tmp_path, *command[1:])
    assert done.code == 1
    assert f"Error: '{tmp_path}' holds no run" in done.err


@pytest.mark.issue(2)
@pytest.mark.parametrize(
    "command", ["run", "retry", "status", "errors", "show", "export", "report"]
)
def test_help_keeps_its_example_on_a_line_of_its_own(cli, command) -> None:
    done = cli(command, "--help")
    assert f"\n  Example:\n    nlp-pipeline {command} " in done.out
    assert "\\b" not in done.out
