"""What is wrong with one record costs that record, in every format alike."""

from __future__ import annotations

import json
import logging
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from read_items import records_of, rejects_of

from nlp_pipeline.corpus import Record, Reject, count_documents, read_corpus, reader
from nlp_pipeline.corpus import squad as squad_module
from nlp_pipeline.corpus.json_stream import JsonStream


def outcome(rows: list[Record | Reject]) -> list[str]:
    """The texts of records, the kinds of rejects."""
    return [row.text if isinstance(row, Record) else row.kind for row in rows]


# Whatever a reader raises


@pytest.mark.parametrize(
    "error", [IndexError("no such thing"), RecursionError(), MemoryError("2 GB"), KeyError("k")]
)
@pytest.mark.parametrize("format_", sorted(reader.READERS.keys() - {"records"}))
def test_whatever_a_reader_raises_is_one_reject(write, monkeypatch, caplog, format_, error):
    def bad(*_: Any) -> Any:
        yield 1, {"text": "first"}
        raise error

    needed = {"document": "kreuzberg", "xlsx": "openpyxl"}
    if format_ in needed:
        pytest.importorskip(needed[format_])
    names = {"text": "b.txt", "squad": "b.json", "document": "b.pdf", "database": "b.db"}
    name = names.get(format_, f"b.{format_}")
    write("d/a.jsonl", '{"text": "a"}')
    write(f"d/{name}", "x")
    write("d/c.jsonl", '{"text": "c"}')
    monkeypatch.setattr(reader, "READERS", {**reader.READERS, format_: bad})
    if format_ in ("jsonl", "squad", "database"):  # of which one file has to be named
        rows = list(read_corpus("d/c.jsonl" if format_ == "jsonl" else f"d/{name}"))
        assert outcome(rows) == ["first", "unreadable_file"]
        return
    with caplog.at_level(logging.DEBUG, "nlp_pipeline"):
        rows = list(read_corpus("d"))
    assert outcome(rows) == ["a", "first", "unreadable_file", "c"]
    (reject,) = rejects_of(rows[2:3])
    assert type(error).__name__ in reject.message
    assert any(record.exc_info for record in caplog.records)


def test_a_record_that_nobody_foresaw_is_one_reject(read, monkeypatch):
    def bad(value: Any, place: Any) -> Any:
        raise ZeroDivisionError("seven")

    monkeypatch.setattr("nlp_pipeline.corpus.record_builder.parse_questions", bad)
    (reject,) = read("x.jsonl", '{"id": "a", "text": "a"}')
    assert (reject.kind, reject.line) == ("unreadable_record", 1)
    assert reject.message == (
        "x.jsonl:1 cannot be read: ZeroDivisionError: seven. The other records are read; leave "
        "this one out, or write it in another form."
    )


@pytest.mark.parametrize("name", ["b.parquet", "b.conllu.gz", "b.json.gz", "b.csv.gz"])
def test_what_cannot_be_read_counts_nothing(write, name):
    assert count_documents(write(name, "x")) == 0


# One NUL


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        (b'\0{"text": "a"}', ["invalid_json", "b"]),
        (b'{\0"text": "a"}', ["invalid_json", "b"]),
        (b'{"text": "a\0"}', ["a\0", "b"]),
        (b"\0", ["invalid_json", "b"]),
        (b"\0\0\0\0", ["invalid_json", "b"]),
        ('{"text": "a"}'.encode("utf-16-le"), ["invalid_utf8"]),
        ('{"text": "a"}'.encode("utf-16-be"), ["invalid_utf8"]),
        ('{"text": "a"}'.encode("utf-16"), ["invalid_utf8"]),
    ],
)
def test_one_nul_makes_no_utf16(read, line, kinds):
    rows = read("x.jsonl", line + b'\n{"text": "b"}\n', on_warning=lambda _: None)
    assert outcome(rows) == kinds


def test_zeros_alone_are_no_text(read):
    assert outcome(read("x.jsonl", bytes(100))) == ["invalid_utf8"]
    assert outcome(read("x.txt", bytes(100))) == ["invalid_utf8"]


def test_a_nul_at_the_start_of_a_text_is_a_character(read):
    assert outcome(read("x.txt", b"\0abc")) == ["\0abc"]
    (row,) = read("x.csv", b"text\n\0a\n")
    assert outcome([row]) in (["\0a"], ["bad_csv_row"])  # Python 3.10 takes none


# SQuAD


def article(*paragraphs: str, title: str = '"T"') -> str:
    return f'{{"title": {title}, "paragraphs": [{", ".join(paragraphs)}]}}'


def squad(*articles: str) -> str:
    return f'{{"version": "1.1", "data": [{", ".join(articles)}]}}'


@pytest.mark.parametrize(
    ("paragraph", "kind"),
    [
        ('{"context": "NaN.", "n": NaN, "big": 1e999, "low": -Infinity}', "NaN."),
        ('{"context": "half \\ud83d"}', "half \ufffd"),
        ('{"context": "a\tb"}', "a\tb"),
        ('{"context": "huge", "n": 123456789012345678901234567890}', "huge"),
        (b'{"context": "\xe9t\xe9"}', "invalid_utf8"),
        ('{"context": "comma",}', "bad_squad"),
        ("{'context': 1}", "bad_squad"),
        ('{"context": "deep", "x": ' + "[" * 500 + "]" * 500 + "}", "too_deep"),
        ('{"context": null}', "null_text"),
        ('{"context": 3}', "text_not_string"),
        ('{"qas": []}', "bad_squad"),
        ('{"context": "q", "qas": [1]}', "bad_squad"),
        ("3", "bad_squad"),
        ('"text"', "bad_squad"),
        ("[1]", "bad_squad"),
        ("null", "bad_squad"),
        ("nul", "bad_squad"),
    ],
)
def test_a_bad_paragraph_costs_no_other(read, paragraph, kind):
    bad = paragraph if isinstance(paragraph, bytes) else paragraph.encode()
    content = squad(article('{"context": "a"}', "@"), article('{"context": "c"}')).encode()
    rows = read("x.json", content.replace(b"@", bad), on_warning=lambda _: None)
    assert outcome(rows) == ["a", kind, "c"]
    assert [row.line for row in rows] == [1, 2, 3]


@pytest.mark.parametrize("bad", ["3", "null", '"x"', "[]", "{}", '{"paragraphs": 3}'])
def test_a_bad_article_costs_no_other(read, bad):
    rows = read("x.json", squad(article('{"context": "a"}'), bad, article('{"context": "c"}')))
    assert outcome(rows) == ["a", "bad_squad", "c"]


def test_a_byte_order_mark_in_squad_is_left_out(read):
    said: list[str] = []
    content = b"\xef\xbb\xbf" + squad(article('{"context": "a"}')).encode()
    assert outcome(read("x.json", content, on_warning=said.append)) == ["a"]
    assert len(said) == 1
    assert "byte order mark" in said[0]
    assert outcome(read("y.json", content.decode().encode("utf-16"))) == ["invalid_utf8"]


@pytest.mark.parametrize(
    ("cut", "texts"),
    [(-1, ["a", "b", "bad_squad"]), (-2, ["a", "b", "bad_squad"]), (-14, ["a", "bad_squad"])],
)
def test_squad_that_breaks_off_gives_what_is_whole(read, cut, texts):
    content = squad(article('{"context": "a"}', '{"context": "b"}'))
    rows = read("x.json", content[:cut])
    assert outcome(rows) == texts
    assert rows[-1].line == len(rows)
    assert rows[-1].message.startswith(
        f"x.json:{len(rows)} is not in SQuAD's format: it is no JSON at byte {len(content) + cut}."
    )


def test_something_behind_the_json_is_said(read):
    assert outcome(read("x.json", squad(article('{"context": "a"}')) + " x")) == ["a", "bad_squad"]


def test_a_title_may_stand_behind_its_paragraphs(read):
    late = '{"paragraphs": [{"context": "a"}, {"context": "b"}], "title": "Late"}'
    none = '{"paragraphs": [{"context": "c"}]}'
    rows = read("x.json", squad(late, none, article('{"context": "d"}'), late.replace("Late", "L")))
    assert [row.meta.get("title") for row in rows] == ["Late", "Late", None, "T", "L", "L"]


def test_a_title_behind_what_is_broken_costs_no_paragraph(read):
    rows = read("x.json", '{"data": [{"paragraphs": [{"context": "a"}], "title": "T"')
    assert outcome(rows) == ["a", "bad_squad"]


texts = st.text(max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | texts | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    articles=st.lists(
        st.fixed_dictionaries(
            {"paragraphs": st.lists(st.dictionaries(texts, values, max_size=3), max_size=3)},
            optional={"title": texts, "x": values},
        ),
        max_size=3,
    ),
    chunk=st.integers(1, 30),
    indent=st.none() | st.integers(0, 2),
    ascii_=st.booleans(),
)
def test_paragraphs_are_cut_out_as_a_parser_finds_them(
    tmp_path, monkeypatch, articles, chunk, indent, ascii_
):
    monkeypatch.setattr("nlp_pipeline.corpus.json_stream._CHUNK_BYTES", chunk)
    monkeypatch.setattr(squad_module, "_START_BYTES", 5)
    for one in articles:
        for number, paragraph in enumerate(one["paragraphs"]):
            paragraph["context"] = f'{number} \\ " {{[ {paragraph.get("context")}'
            paragraph.pop("qas", None)
    path = tmp_path / "x.json"
    content = {"a": {"data": [1]}, "data": articles, "z": "}"}
    path.write_text(json.dumps(content, indent=indent, ensure_ascii=ascii_), "utf-8", "replace")
    rows = records_of(read_corpus(path, on_warning=lambda _: None))
    expected = [(p["context"], one.get("title")) for one in articles for p in one["paragraphs"]]
    found = [(row.text, row.meta.get("title")) for row in rows]
    clean = json.loads(json.dumps(expected).encode("utf-8", "replace"))
    if ascii_ and not any("\ufffd" in text for text, _ in found):
        assert found == [tuple(pair) for pair in clean]
    assert len(found) == len(expected) == count_documents(path)


@pytest.mark.parametrize("chunk", range(1, 9))
def test_strings_may_break_anywhere(monkeypatch, chunk):
    import io

    monkeypatch.setattr("nlp_pipeline.corpus.json_stream._CHUNK_BYTES", chunk)
    text = rb'["\\", "\"", "]\\\"[", "", {"}": "\\"}, 1, true]'
    stream = JsonStream(io.BytesIO(text), 100)
    assert [stream.value().data for _ in stream.items()] == [
        rb'"\\"',
        rb'"\""',
        rb'"]\\\"["',
        b'""',
        rb'{"}": "\\"}',
        b"1",
        b"true",
    ]
    assert stream.peek() == b""


# CoNLL-U


def words(*ids: str) -> str:
    return "".join(f"{id}\tw{number}\t_\t_\t_\t_\t_\t_\t_\t_\n" for number, id in enumerate(ids))


@pytest.mark.parametrize(
    "id",
    [
        *("1-x", "x", "", "-", "1-", "-1", "1-2-3", "0", "-0", "1.x", ".", "1.", "²", "٣", "1 "),
        *("2-1", "9" * 5000, "1-" + "9" * 5000, "1e3", "+1", "0x1", "½", "1\u2013"),
    ],
)
def test_an_id_that_is_none_costs_its_document(read, id):
    content = "# newdoc id = a\n" + words("1") + "\n# newdoc id = b\n" + words(id)
    rows = read("x.conllu", content + "\n# newdoc id = c\n" + words("1"))
    assert outcome(rows) == ["w0", "bad_conllu", "w0"]
    assert rows[1].message.startswith("x.conllu:5 has '")
    assert "as its id. Write a number such as 3, a range of words such as 3-4" in rows[1].message


def test_empty_nodes_and_ranges_are_understood(read):
    (record,) = read("x.conllu", words("1", "1.1", "2-3", "2", "3", "3.1", "4"))
    assert record.text == "w0 w2 w6"


@pytest.mark.parametrize(
    ("line", "id"),
    [
        ("# newdoc id = abc", "abc"),
        ("# newdoc id=abc", "abc"),
        ("#newdoc id =abc", "abc"),
        ("#  newdoc  id= a b", "a b"),
        ("# newdoc id = a=b", "a=b"),
        ("# newdoc id =", "x:1"),
        ("# newdoc", "x:1"),
        ("# newdocument = abc", "x:1"),
    ],
)
def test_the_id_of_a_new_document(read, line, id):
    (record,) = read("x.conllu", f"{line}\n{words('1')}")
    assert record.id == id


def test_bad_bytes_in_conllu_are_said_and_not_replaced(read):
    content = words("1").encode() + b"2\t\xe9t\xe9\t_\t_\t_\t_\t_\t_\t_\t_\n\n# newdoc\n"
    rows = read("x.conllu", content + words("1").encode())
    assert outcome(rows) == ["invalid_utf8", "w0"]
    byte = content.index(b"\xe9")
    assert rows[0].message.startswith(f"x.conllu:2 is not valid UTF-8 at byte {byte} of the file.")


def test_marks_of_windows_in_conllu_are_warnings(read):
    said: list[str] = []
    content = b"\xef\xbb\xbf" + words("1", "2").replace("\n", "\r\n").encode()
    assert outcome(read("x.conllu", content, on_warning=said.append)) == ["w0 w1"]
    assert [text.split(" ", 1)[1][:17] for text in said] == [
        "starts with a byt",
        "ends with CR LF; ",
    ]


def test_a_bad_conllu_between_two_files_costs_neither(write):
    write("d/a.jsonl", '{"text": "a"}')
    write("d/b.conllu", words("1-x"))
    write("d/c.jsonl", '{"text": "c"}')
    assert outcome(list(read_corpus("d"))) == ["a", "bad_conllu", "c"]


# Parquet


def stored(kind: Any, *values: Any) -> Any:
    return pa.array(values, kind)


@pytest.mark.parametrize(
    ("column", "first"),
    [
        (stored(pa.timestamp("us"), 0, 10**18), "1970-01-01T00:00:00"),
        (stored(pa.timestamp("ms"), 0, -(10**17)), "1970-01-01T00:00:00"),
        (stored(pa.int32(), 0, 10**8).cast(pa.date32()), "1970-01-01"),
        (stored(pa.int64(), 1, 2**62).cast(pa.duration("s")), 1.0),
        (stored(pa.timestamp("us", tz="Mars/Olympus"), None, 1), None),
        (stored(pa.list_(pa.timestamp("us")), [0], [10**18]), ["1970-01-01T00:00:00"]),
    ],
    ids=str,
)
def test_values_that_python_cannot_hold_are_null(tmp_path, column, first):
    said: list[str] = []
    pq.write_table(pa.table({"text": ["a", "b"], "x": column}), tmp_path / "x.parquet")
    rows = list(read_corpus(tmp_path / "x.parquet", on_warning=said.append))
    assert outcome(rows) == ["a", "b"]
    assert [row.meta["x"] for row in records_of(rows)] == [first, None]
    (text,) = said
    assert text.endswith(
        "holds a value that cannot be read, such as a date out of range or a time of an unknown "
        "zone, which was read as null. Said once; there may be more."
    )


def test_a_text_or_an_id_that_python_cannot_hold(tmp_path):
    bad = stored(pa.timestamp("us"), 0, 10**18)
    pq.write_table(pa.table({"text": bad}), tmp_path / "x.parquet")
    assert outcome(list(read_corpus(tmp_path / "x.parquet"))) == ["text_not_string"] * 2
    pq.write_table(pa.table({"text": ["a", "b"], "id": bad}), tmp_path / "y.parquet")
    rows = list(read_corpus(tmp_path / "y.parquet", on_warning=lambda _: None))
    assert [(row.id, getattr(row, "kind", None)) for row in rows] == [
        ("1970-01-01T00:00:00", None),
        ("y:2", None),
    ]


PARQUET_TYPES: dict[str, tuple[Any, Any]] = {
    "uint64": (stored(pa.uint64(), 2**64 - 1), 2**64 - 1),
    "float16": (stored(pa.float32(), 1.5).cast(pa.float16()), 1.5),
    "decimal256": (stored(pa.decimal256(70, 2), 1), "1.00"),
    "time64": (stored(pa.time64("us"), 1), "00:00:00.000001"),
    "timestamp_ns": (stored(pa.timestamp("ns"), 0), "1970-01-01T00:00:00"),
    "duration": (stored(pa.duration("ms"), timedelta(seconds=2)), 2.0),
    "date": (stored(pa.date32(), date(2024, 2, 29)), "2024-02-29"),
    "datetime": (
        stored(pa.timestamp("s", tz="UTC"), datetime(2024, 1, 1)),
        "2024-01-01T00:00:00+00:00",
    ),
    "map": (stored(pa.map_(pa.string(), pa.int64()), [("a", 1)]), [["a", 1]]),
    "map_of_lists": (
        stored(pa.map_(pa.int64(), pa.list_(pa.string())), [(1, ["a", None]), (2, None)]),
        [[1, ["a", None]], [2, None]],
    ),
    "fixed_list": (stored(pa.list_(pa.string(), 2), ["a", "b"]), ["a", "b"]),
    "list_of_maps": (
        stored(pa.list_(pa.map_(pa.string(), pa.binary())), [[("a", b"b")]]),
        [[["a", "b"]]],
    ),
    "fixed": (stored(pa.binary(2), b"ab"), "ab"),
    "categories": (pa.array(["a"]).dictionary_encode(), "a"),
    "large": (stored(pa.large_list(pa.large_string()), ["a"]), ["a"]),
    "struct": (stored(None, {"a": {"b": [1, None]}}), {"a": {"b": [1, None]}}),
    "null": (pa.nulls(1), None),
    "bool": (stored(None, True), True),
}


@pytest.mark.parametrize("name", PARQUET_TYPES)
def test_every_type_of_parquet_is_plain_json(tmp_path, name):
    column, value = PARQUET_TYPES[name]
    pq.write_table(pa.table({"text": ["a"], "x": column}), tmp_path / "x.parquet")
    (record,) = records_of(read_corpus(tmp_path / "x.parquet", on_warning=lambda _: None))
    assert record.meta == {"x": value}
    assert json.loads(json.dumps(record.meta)) == record.meta
