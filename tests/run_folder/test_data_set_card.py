"""A run's folder is a Hugging Face data set."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline import read_run, run

DOCUMENTS = ("Ada left.", "Grace stayed.", "Karl came.")


# The library leaves CSV files open.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("form", ["parquet", "jsonl", "csv"])
def test_its_tables_load(
    tmp_path: Path, quick, corpus, monkeypatch: pytest.MonkeyPatch, form: Any
) -> None:
    datasets = pytest.importorskip("datasets")
    out = tmp_path / "out"
    run(corpus(*DOCUMENTS), out, pipeline=quick(), part_size=2, format=form)
    answers = datasets.load_dataset(str(out), "answers", cache_dir=str(tmp_path / "cache"))
    assert answers["train"]["answer"] == read_run(out)["answers"]["answer"].tolist()
    default = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert list(default["train"]["text"]) == list(DOCUMENTS)
    del answers, default
    gc.collect()


def test_the_card_names_every_table(tmp_path: Path, quick, corpus) -> None:
    out = tmp_path / "out"
    run(corpus(*DOCUMENTS), out, pipeline=quick())
    card = (out / "README.md").read_text(encoding="utf-8")
    assert (
        "- config_name: documents\n  data_files: documents/part-*.parquet\n  default: true" in card
    )
    assert "| `answers` | 3 |\n" in card
    assert "| `layout` | 0 |\n" in card


def test_of_json_lines_those_with_rows(tmp_path: Path, quick, corpus) -> None:
    out = tmp_path / "out"
    run(corpus(*DOCUMENTS), out, pipeline=quick(), format="jsonl")
    assert "layout" not in (out / "README.md").read_text(encoding="utf-8")


def test_a_card_of_ones_own_stays(tmp_path: Path, quick, corpus) -> None:
    out, pipeline = tmp_path / "out", quick()
    run(corpus("One."), out, pipeline=pipeline)
    (out / "README.md").write_text("Mine.", encoding="utf-8")
    run(corpus("One.", "Two."), out, pipeline=pipeline)
    run(corpus("One."), out, pipeline=pipeline, fresh=True)
    assert (out / "README.md").read_text(encoding="utf-8") == "Mine."


def test_a_fresh_run_has_a_card_of_its_own(tmp_path: Path, quick, corpus) -> None:
    out, pipeline = tmp_path / "out", quick()
    run(corpus("One.", "Two."), out, pipeline=pipeline)
    run(corpus("One."), out, pipeline=pipeline, fresh=True)
    assert "| `documents` | 1 |" in (out / "README.md").read_text(encoding="utf-8")
