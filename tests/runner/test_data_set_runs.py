"""Data sets as corpora: folders of `save_to_disk`, and what is said of those that cannot be."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline import read_corpus, read_run, run
from nlp_pipeline.corpus import data_set
from nlp_pipeline.errors.corpus import NoTextColumn
from nlp_pipeline.errors.data_set import DataSetFailed, SplitMissing
from nlp_pipeline.errors.documents import ReaderNotInstalled

ROWS = [{"id": "a", "text": "Ada left.", "n": 1}, {"id": "b", "text": "Karl came.", "n": 2}]


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_set, "find_spec", lambda name: None)
    message = (
        r"^Reading hf://datasets/ada/notes needs .* type `pip install 'datasets>=2\.19,<6'`\.$"
    )
    with pytest.raises(ReaderNotInstalled, match=message):
        read_corpus("hf://datasets/ada/notes")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set of two splits on disk."""
    datasets: Any = pytest.importorskip("datasets")
    splits = {"train": ROWS, "test": ROWS[:1]}
    rows = {name: datasets.Dataset.from_list(items) for name, items in splits.items()}
    datasets.DatasetDict(rows).save_to_disk(tmp_path / "notes")
    return tmp_path / "notes"


def test_a_run_keeps_its_rows(folder: Path, tmp_path: Path, quick, cli) -> None:
    pipeline, out = quick(), tmp_path / "out"
    result = run(folder / "train", out, pipeline=pipeline)
    assert (result.documents, result.failed) == (2, 0)
    documents = read_run(out)["documents"]
    assert documents["document_id"].tolist() == ["a", "b"]
    assert documents["meta"].tolist() == ['{"n": 1}', '{"n": 2}']
    assert documents["source"].unique().tolist() == [str(folder / "train")]
    again = cli("run", folder / "train", "-p", pipeline, "-o", out, "--json")
    assert (again.code, '"resumed": 2' in again.out) == (0, True)


def test_a_split_that_is_not_named(folder: Path) -> None:
    message = r"has several splits; there are: train, test\. Name one, as in .*/notes/SPLIT\.$"
    with pytest.raises(SplitMissing, match=message):
        read_corpus(folder)
    shutil.rmtree(folder / "test")
    (folder / "dataset_dict.json").write_text('{"splits": ["train"]}', encoding="utf-8")
    assert [record.id for record in read_corpus(folder)] == ["a", "b"]


def test_a_column_that_is_not_there(folder: Path, tmp_path: Path, quick) -> None:
    with pytest.raises(NoTextColumn, match=r"has no column 'body'; it has: id, text, n\."):
        run(folder / "train", tmp_path / "out", pipeline=quick(), text_key="body")
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_opened(folder: Path) -> None:
    (folder / "train" / "state.json").write_text("no JSON", encoding="utf-8")
    message = r"train' cannot be opened: .*\. Write hf://datasets/OWNER/NAME, or a folder of `save_"
    with pytest.raises(DataSetFailed, match=message):
        read_corpus(folder / "train")


def test_the_names_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets: Any = pytest.importorskip("datasets")
    calls: list[Any] = []

    def load_dataset(name: str, config: str | None, *, streaming: bool) -> Any:
        calls.append((name, config, streaming))
        split = datasets.Dataset.from_list(ROWS).to_iterable_dataset()
        return {"train": split, "test": split}

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert len(list(read_corpus("hf://datasets/ada/notes#test"))) == 2
    assert len(list(read_corpus("hf://datasets/ada/notes/#en/train", limit=1))) == 1
    with pytest.raises(
        SplitMissing, match=r"no split 'dev'; .* as in hf://datasets/ada/notes#SPLIT"
    ):
        read_corpus("hf://datasets/ada/notes#dev")
    assert calls == [
        ("ada/notes", None, True),
        ("ada/notes", "en", True),
        ("ada/notes", None, True),
    ]
