"""Records that a program has at hand: the same as those of a file, whatever holds them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from read_items import records_of

from nlp_pipeline.corpus import Record, Reject, read_corpus
from nlp_pipeline.errors.corpus import NotACorpus, NoTextColumn, NoTextField

ROWS = [
    {"id": "a", "text": "Ada met Grace.", "n": 1, "day": "2024-01-02", "tags": ["x", "é"]},
    {"id": "b", "text": "Grace left.", "n": None, "day": None, "tags": None},
    {"id": "c", "text": None, "n": 3, "day": "2024-01-04", "tags": []},
]


def read(corpus: Any, **options: Any) -> list[Record | Reject]:
    return list(read_corpus(corpus, on_warning=lambda _: None, **options))


def facts(items: list[Record | Reject]) -> list[Any]:
    return [
        (item.id, item.text, dict(item.meta)) if isinstance(item, Record) else (item.id, item.kind)
        for item in items
    ]


WANTED = [
    ("a", "Ada met Grace.", {"n": 1, "day": "2024-01-02", "tags": ["x", "é"]}),
    ("b", "Grace left.", {"n": None, "day": None, "tags": None}),
    ("c", "null_text"),
]


def polars(lazy: bool = False) -> Any:
    frame = pytest.importorskip("polars").DataFrame(ROWS)
    return frame.lazy() if lazy else frame


def data_set() -> Any:
    return pytest.importorskip("datasets").Dataset.from_list(ROWS)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ROWS,
        lambda: iter(ROWS),
        lambda: pd.DataFrame(ROWS).astype({"n": "Int64"}),
        lambda: pd.DataFrame(ROWS).astype({"n": "Int64"}).set_index("id"),
        lambda: pa.Table.from_pylist(ROWS),
        lambda: pa.Table.from_pylist(ROWS).to_batches()[0],
        lambda: pa.Table.from_pylist(ROWS).to_reader(),
        polars,
        lambda: polars(lazy=True),
        data_set,
    ],
    ids=[
        *("list", "iterator", "pandas", "index", "arrow", "batch", "reader"),
        *("polars", "lazy", "datasets"),
    ],
)
def test_every_table_gives_the_same_records(make) -> None:
    items = read(make())
    assert facts(items) == WANTED
    assert [(item.source, item.line, item.index) for item in items] == [
        ("records", 1, 0),
        ("records", 2, 1),
        ("records", 3, 2),
    ]


def test_they_are_those_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    assert facts(read(ROWS)) == facts(read(file))


def test_texts_and_pairs() -> None:
    items = read(["One.", ("Two.", {"id": "two", "n": 2, "questions": ["Who?"]}), ("Three.", 3)])
    assert facts(items) == [
        ("record:1", "One.", {}),
        ("two", "Two.", {"n": 2}),
        ("record:3", "Three.", {"context": 3}),
    ]
    second = items[1]
    assert isinstance(second, Record)
    assert [question.text for question in second.questions] == ["Who?"]


def test_a_series_and_its_gaps() -> None:
    assert facts(read(pd.Series(["One.", np.nan, None, pd.NA], dtype=object))) == [
        ("record:1", "One.", {}),
        *((f"record:{line}", "null_text") for line in (2, 3, 4)),
    ]


@pytest.mark.parametrize(
    ("item", "what"),
    [
        (5, "an item of type int"),
        (["a", "b", "c"], "an item of type list of 3"),
        ((1, 2), "an item of type tuple of 2"),
        (object(), "an item of type object"),
        (b"bytes", "an item of type bytes"),
    ],
)
def test_one_item_that_is_none_costs_no_other(item: Any, what: str) -> None:
    first, bad, last = read(["One.", item, "Three."])
    assert (first.id, last.id) == ("record:1", "record:3")
    assert isinstance(bad, Reject)
    assert bad.kind == "item_not_record"
    assert bad.message == (
        f"records:2 is {what}. Give a text, a dict such as {{'id': '1', 'text': '…'}}, or a pair "
        "of a text and its context."
    )


def test_values_of_every_type_become_plain_ones() -> None:
    recursive: list[Any] = []
    recursive.append(recursive)
    record = {
        "text": "One.",
        "meta": {
            "date": date(2024, 1, 2),
            "time": pd.Timestamp("2024-01-02 03:04"),
            "nat": pd.NaT,
            "nan": float("nan"),
            "decimal": Decimal("1.10"),
            "delta": timedelta(seconds=90),
            "array": np.array([1, 2]),
            "number": np.float32(0.5),
            "path": Path("a/b"),
            "set": {"b", "a"},
            "bytes": b"\xff",
            "big": 2**70,
            7: datetime(2024, 1, 2),
        },
    }
    only, circular, last = read([record, {"text": "Two.", "self": recursive}, "Three."])
    assert isinstance(only, Record)
    assert only.meta == {
        "date": "2024-01-02",
        "time": "2024-01-02T03:04:00",
        "nat": None,
        "nan": None,
        "decimal": "1.10",
        "delta": 90.0,
        "array": [1, 2],
        "number": 0.5,
        "path": "a/b",
        "set": ["a", "b"],
        "bytes": None,
        "big": str(2**70),
        "7": "2024-01-02T00:00:00",
    }
    assert isinstance(circular, Reject)
    assert "no JSON" in circular.message
    assert last.id == "record:3"


def test_two_columns_of_one_name_are_told_apart() -> None:
    frame = pd.DataFrame([["One.", "first", "second"]], columns=["text", "note", "note"])
    warnings: list[str] = []
    (record,) = read_corpus(frame, on_warning=warnings.append)
    assert isinstance(record, Record)
    assert record.meta == {"note": "first", "note_2": "second"}
    assert warnings == [
        "records:1 has two columns 'note'; the second is read as 'note_2'. Said once; there may be "
        "more."
    ]


@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        (5, r"The corpus is a int\. Give a path, a table of pandas, polars or Arrow, "),
        (b"text", r"The corpus is a bytes\. Give a path"),
        ({"train": 1, "test": 2}, r"is a dict with train, test\. Give one of its values, or a "),
        (None, r"The corpus is a NoneType\."),
    ],
)
def test_what_is_no_corpus_is_said_at_once(corpus: Any, message: str) -> None:
    with pytest.raises(NotACorpus, match=message):
        read_corpus(corpus)


def test_it_is_read_no_further_than_asked() -> None:
    taken: list[int] = []

    def endless() -> Iterator[str]:
        while True:
            taken.append(len(taken))
            yield f"Text {len(taken)}."

    assert len(read(endless(), limit=3)) == 3
    assert len(taken) == 3


BODIES = [{"id": 1, "Body": "Ada met Grace."}, {"id": 2, "Body": "Grace left."}]
MAKERS = {
    "DataFrame": lambda: pd.DataFrame(BODIES),
    "Table": lambda: pa.Table.from_pylist(BODIES),
    "RecordBatch": lambda: pa.RecordBatch.from_pylist(BODIES),
    "RecordBatchReader": lambda: pa.Table.from_pylist(BODIES).to_reader(),
    "Dataset": lambda: pytest.importorskip("datasets").Dataset.from_list(BODIES),
    "LazyFrame": lambda: pytest.importorskip("polars").DataFrame(BODIES).lazy(),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_table_without_the_text_is_refused_once(name: str) -> None:
    title = name.replace("Lazy", "Data")
    message = (
        f"The {title} has no column 'body'; it has: id, Body. Did you mean 'Body'? Name the column "
        "with text_key."
    )
    with pytest.raises(NoTextColumn) as caught:
        read_corpus(MAKERS[name](), text_key="body")  # nothing is read yet
    assert str(caught.value) == message
    assert [item.id for item in read_corpus(MAKERS[name](), text_key="Body")] == ["1", "2"]


def test_a_table_without_columns_is_a_corpus_of_nothing() -> None:
    assert read(pd.DataFrame()) == []
    with pytest.raises(NoTextColumn, match=r"it has: a\. Name the column with text_key\.$"):
        read(pd.DataFrame(columns=["a"]))


def test_a_column_that_holds_objects_may_hold_the_text() -> None:
    frame = pd.DataFrame({"content": [{"body": "Ada."}, {"body": "Grace."}]})
    assert [item.text for item in records_of(read(frame, text_key="content.body"))] == [
        "Ada.",
        "Grace.",
    ]


def test_records_of_which_none_has_the_text_are_refused_once() -> None:
    message = (
        r"^The corpus has no 'body' in any of its first 2 records; they have: id, Body\. Did you "
        r"mean 'Body'\? Name the field with text_key\.$"
    )
    with pytest.raises(NoTextField, match=message):
        read_corpus(BODIES, text_key="body")
    later = read_corpus(iter(BODIES), text_key="body")  # of a stream nothing is taken yet
    with pytest.raises(NoTextField, match=message):
        next(later)
    with pytest.raises(NoTextField, match=r"in any of its first 100 records; they have: id"):
        next(read_corpus({"id": n} for n in range(1000)))


def test_one_record_without_the_text_costs_no_other() -> None:
    records = [{"id": 1, "body": "a"}, "Ada.", {"id": 2, "body": "b"}]
    assert [getattr(item, "kind", "") for item in read(records)] == [
        *("missing_text", "", "missing_text")
    ]
    assert [item.kind for item in read([{"id": 1}]) if isinstance(item, Reject)] == ["missing_text"]


def test_a_stream_is_read_no_further_than_its_first_text() -> None:
    taken: list[int] = []

    def texts() -> Iterator[str]:
        for number in range(9):
            taken.append(number)
            yield "Ada."

    items = read_corpus(texts())
    assert taken == []
    next(items)
    assert taken == [0]
