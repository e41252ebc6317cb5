"""Records of any kind, harmed in any way, in every format: each costs no more than itself.

A few examples by default; `NLP_PIPELINE_FUZZ_EXAMPLES=100000 pytest -m suites` searches for hours
(and `tests/cli/test_door.py` does the same for options and settings).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlp_pipeline.corpus import Record, count_documents, read_corpus

EXAMPLES = int(os.environ.get("NLP_PIPELINE_FUZZ_EXAMPLES", "60"))
# A search of hours has no limit.
pytestmark = [pytest.mark.suites, pytest.mark.timeout(300 if EXAMPLES <= 60 else 0)]

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
names = st.sampled_from(["id", "text", "meta", "questions", "x", ""])
records = st.dictionaries(names, values, max_size=4).map(lambda v: json.dumps(v).encode())
harms = st.lists(st.tuples(st.integers(0, 200), st.binary(max_size=3)), max_size=3)
fuzzed = settings(
    deadline=None,
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def harmed(data: bytes, pieces: list[tuple[int, bytes]]) -> bytes:
    """The data with a few bytes replaced, none of them a line end."""
    for place, piece in pieces:
        at = place % (len(data) + 1)
        data = data[:at] + piece.replace(b"\n", b"\0") + data[at + len(piece) :]
    return data


@fuzzed
@given(lines=st.lists(st.tuples(records, harms), max_size=6))
def test_a_line_costs_no_other(tmp_path: Path, lines: list[tuple[bytes, list]]) -> None:
    path = tmp_path / "x.jsonl"
    good = [json.dumps({"text": f"good {n}"}).encode() for n in range(len(lines) + 1)]
    body = [good[0]]
    for number, (line, pieces) in enumerate(lines, 1):
        body += [harmed(line, pieces), good[number]]
    path.write_bytes(b"\n".join(body))
    rows = list(read_corpus(path, on_warning=lambda _: None))
    found = [row for row in rows if isinstance(row, Record) and row.text.startswith("good ")]
    assert [row.line for row in found] == [2 * n + 1 for n in range(len(good))]
    count = count_documents(path)
    assert count is not None
    assert len({row.id for row in rows}) == len(rows) <= count
    for row in rows:
        if not isinstance(row, Record):
            assert row.message.isprintable()
        else:
            json.dumps(row.meta, ensure_ascii=False).encode("utf-8")


@fuzzed
@given(data=st.binary(max_size=300), place=st.integers(0, 400))
@pytest.mark.parametrize("name", ["b.csv", "b.conllu", "b.parquet", "b.txt", "b.jsonl.gz"])
def test_a_file_costs_no_other(tmp_path: Path, name: str, data: bytes, place: int) -> None:
    folder = tmp_path / "d"
    folder.mkdir(exist_ok=True)
    (folder / "a.jsonl").write_text('{"text": "a"}')
    (folder / "c.jsonl").write_text('{"text": "c"}')
    heads = {
        "b.csv": b"id,text\n1,x\n",
        "b.conllu": b"# newdoc id = x\n1\tx\t_\t_\t_\t_\t_\t_\t_\t_\n",
    }
    head = heads.get(name, b"")
    (folder / name).write_bytes(head[:place] + data + head[place:])
    rows = list(read_corpus(folder, on_warning=lambda _: None))
    assert [r.text for r in (rows[0], rows[-1]) if isinstance(r, Record)] == ["a", "c"]
    assert [row.index for row in rows] == list(range(len(rows)))
    count_documents(folder)


@fuzzed
@given(pieces=harms, title=st.text(max_size=5), texts=st.lists(st.text(min_size=1), max_size=4))
def test_a_harmed_squad_file_is_read_to_its_harm(
    tmp_path: Path, pieces: list, title: str, texts: list[str]
) -> None:
    path = tmp_path / "x.json"
    article = {"title": title, "paragraphs": [{"context": text, "qas": []} for text in texts]}
    path.write_bytes(harmed(json.dumps({"data": [article]}).encode(), pieces))
    rows = list(read_corpus(path, on_warning=lambda _: None))
    assert [row.line for row in rows] == list(range(1, len(rows) + 1))
    count = count_documents(path)
    assert count is not None
    assert len(rows) <= count + 1
