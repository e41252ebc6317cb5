"""Options as users of spaCy type them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline.cli.setting_arguments import with_set
from nlp_pipeline.cli.watched_run import device_of
from nlp_pipeline.errors.config import TwoDevices


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (["--a.b=1"], ["--set", "a.b=1"]),
        (["--a.b", "1", "x"], ["--set", "a.b=1", "x"]),
        (["--a.b", "-1"], ["--set", "a.b=-1"]),
        (["--a.b-c.d_e="], ["--set", "a.b-c.d_e="]),
        (["--a.b", "--c.d", "--quiet"], ["--set", "a.b=true", "--set", "c.d=true", "--quiet"]),
        (["--a.b"], ["--set", "a.b=true"]),
        (["--a.b=x=y\nz"], ["--set", "a.b=x=y\nz"]),
        (["--text-key", "--limit"], ["--text-key", "--limit"]),
        (["--limit=1.5", "-q", "--"], ["--limit=1.5", "-q", "--"]),
        (["x", "--", "--a.b=1"], ["x", "--", "--a.b=1"]),
        (["--.a=1", "--a.=1", "-a.b=1"], ["--.a=1", "--a.=1", "-a.b=1"]),
    ],
)
def test_a_setting_is_an_option(typed: list[str], read: list[str]) -> None:
    assert list(with_set(typed)) == read


def test_it_changes_the_setting(quick, corpus, tmp_path: Path, cli) -> None:
    source, out = corpus("Ada left."), tmp_path / "out"
    options = ("--components.llama_qa.max_new_tokens=3", "--output", out, "--quiet")
    assert cli("run", source, "-p", quick(), *options).code == 0
    manifest: dict[str, Any] = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["fingerprint"]["components.llama_qa.max_new_tokens"] == "3"


def test_force_is_fresh_and_the_former_name_goes_on(quick, corpus, tmp_path: Path, cli) -> None:
    out, pipeline = tmp_path / "out", quick()
    assert cli("run", corpus("Ada left."), "-p", pipeline, "-o", out, "--max-chars", 20).code == 0
    refused = cli("run", corpus("Ada left."), "-p", pipeline, "-o", out, "--max-length", 30)
    assert refused.code == 65
    assert "max_length: 20 → 30" in refused.err
    again = ("--max-length", 30, "--force")
    assert cli("run", corpus("Ada left."), "-p", pipeline, "-o", out, *again).code == 0


def test_an_option_that_is_none_is_said(quick, corpus, cli) -> None:
    done = cli("run", corpus("Ada left."), "-p", quick(), "--max-lenght", 3)
    assert done.code == 2
    assert "No such option" in done.err


def test_the_device_by_its_number() -> None:
    assert [device_of(*pair) for pair in ((None, "cpu"), (-1, None), (1, None), (None, None))] == [
        "cpu",
        "cpu",
        "cuda:1",
        None,
    ]
    message = r"^--gpu-id 0 and --device cpu both say where the model runs\. Leave one out\.$"
    with pytest.raises(TwoDevices, match=message):
        device_of(0, "cpu")
