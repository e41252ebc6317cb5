"""`corpora/hostile` against what is expected of it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from nlp_pipeline.corpus import Record, Reject, read_corpus
from nlp_pipeline.errors.corpus import NoTextColumn

HOSTILE = Path(__file__).parents[2] / "corpora" / "hostile"


def load_maker():
    path = Path(__file__).with_name("make_hostile.py")
    spec = importlib.util.spec_from_file_location("make_hostile", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_hostile = load_maker()


def lines(name: str) -> list[dict]:
    return [json.loads(line) for line in (HOSTILE / name).read_text().splitlines()]


def test_the_records_are_rejected_as_expected():
    rows = read_corpus(HOSTILE / "records.jsonl", on_warning=lambda _: None)
    found = [{"line": r.line, "id": r.id, "kind": getattr(r, "kind", None)} for r in rows]
    assert found == lines("expected.jsonl")


def test_all_that_is_printed_is_printable():
    said: list[str] = []
    for source in (HOSTILE / "records.jsonl", HOSTILE / "files"):
        for row in read_corpus(source, on_warning=said.append):
            if isinstance(row, Reject):
                said.append(row.message)
    assert len(said) > 50
    assert all(text.isprintable() and len(text) < 700 for text in said)


@pytest.mark.parametrize("case", lines("expected_files.jsonl"), ids=lambda case: case["file"])
def test_a_bad_file_is_rejected_as_expected(case):
    source = HOSTILE / "files" / case["file"]
    if case["file"] == "no_text_column.csv":
        with pytest.raises(NoTextColumn):
            read_corpus(source)
        return
    rows = list(read_corpus(source, on_warning=lambda _: None))
    assert [row.id for row in rows if isinstance(row, Record)] == case["records"]
    rejects = [[row.line, row.kind] for row in rows if isinstance(row, Reject)]
    assert rejects == case["rejects"]


def test_every_row_of_the_folder_has_its_own_id_and_place():
    rows = list(read_corpus(HOSTILE / "files", on_warning=lambda _: None))
    assert [row.index for row in rows] == list(range(len(rows)))
    assert len({row.id for row in rows}) == len(rows)
    assert len({(row.source, row.line) for row in rows}) == len(rows)


def test_every_file_is_as_it_is_made_and_has_its_expectation():
    assert (HOSTILE / "records.jsonl").read_bytes() == make_hostile.records()
    assert (HOSTILE / "expected.jsonl").read_text() == make_hostile.expected()
    assert (HOSTILE / "expected_files.jsonl").read_text() == make_hostile.expected_files()
    found = {path.name for path in (HOSTILE / "files").iterdir()}
    assert found == set(make_hostile.FILES)
    for name, (content, _, _) in make_hostile.FILES.items():
        if content is not None:
            assert (HOSTILE / "files" / name).read_bytes() == content
