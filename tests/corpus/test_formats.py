"""The formats other than plain JSON Lines, and compression."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import sys
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from read_items import records_of, rejects_of

from nlp_pipeline.corpus import Question, Record, Reject, read_corpus
from nlp_pipeline.errors.corpus import NoTextColumn, ZstdNotInstalled

LINES = b'{"text": "a"}\n{"text": "b"}\n'


def compress(data: bytes, suffix: str) -> bytes:
    if suffix == ".gz":
        return gzip.compress(data)
    from backports import zstd

    return zstd.compress(data)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize(
    ("name", "content", "ids"),
    [
        ("x.jsonl", LINES, ["x:1", "x:2"]),
        ("x.NDJSON", LINES, ["x:1", "x:2"]),
        ("x.csv", b"text\na\nb\n", ["x:2", "x:3"]),
        ("x.txt", b"a\nb\n", ["x"]),
    ],
)
def test_compressed_equals_plain(read, name, content, ids, suffix):
    plain = read(name, content)
    packed = read(name + suffix, compress(content, suffix))
    assert [row.id for row in packed] == ids
    assert [(row.id, row.text, row.line) for row in packed] == [
        (row.id, row.text, row.line) for row in plain
    ]


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_several_frames_in_one_file(read, suffix):
    assert len(read(f"x.jsonl{suffix}", compress(LINES, suffix) * 3)) == 6


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_truncated_file_gives_what_is_whole_and_one_reject(read, suffix):
    numbers = random.Random(0)
    many = b"".join(b'{"text": "%d"}\n' % numbers.getrandbits(4000) for _ in range(200))
    *records, reject = read(f"x.jsonl{suffix}", compress(many, suffix)[:-9000])
    assert len(records) > 100
    assert all(isinstance(row, Record) for row in records)
    line = len(records) + 1
    assert (reject.kind, reject.line, reject.id) == ("truncated_file", line, f"x:{line}")
    assert reject.message == (
        f"x.jsonl{suffix}:{line} is where the file breaks off: its compressed data is not "
        "complete. What stands before was read; fetch or compress the file again."
    )


def test_what_is_no_gzip_is_one_reject(read):
    (reject,) = read("x.jsonl.gz", LINES)
    assert reject.kind == "unreadable_file"
    assert reject.message == (
        "x.jsonl.gz:1 is where reading the file failed: Not a gzipped file (b'{\"'). What stands "
        "before was read; check that the file is whole and that its suffix is right."
    )


def test_zst_without_its_package_names_the_extra(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    with pytest.raises(ZstdNotInstalled) as error:
        read_corpus(write("x.jsonl.zst", b""))
    assert str(error.value) == (
        "x.jsonl.zst is compressed with Zstandard, and the package that reads it is not "
        "installed. Type `pip install 'backports.zstd>=1.0'`."
    )


def test_utf16_is_one_reject(read):
    (reject,) = read("x.jsonl", LINES.decode().encode("utf-16"))
    assert reject.kind == "invalid_utf8"
    assert reject.message == (
        "x.jsonl:1 is not valid UTF-8 at byte 0 of the file: it looks like UTF-16, and none of it "
        "is read. Convert the file, such as with `iconv -f utf-16 -t utf-8`."
    )


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(LINES + b"{}")))
    rows = list(read_corpus("-"))
    assert [(row.id, row.source, row.line) for row in rows] == [
        ("stdin:1", "-", 1),
        ("stdin:2", "-", 2),
        ("stdin:3", "-", 3),
    ]
    (reject,) = rejects_of(rows[2:])
    assert reject.message == "stdin:3 has no 'text'; it has: none. Name the field with --text-key."


# Plain text


def test_a_text_file_is_one_document_with_its_line_ends(read):
    (record,) = read("a b.txt", "Ada\r\nwrote.\u2028\n")
    assert (record.id, record.text, record.line) == ("a b", "Ada\r\nwrote.\u2028\n", 1)


def test_a_text_file_under_another_text_key(read):
    (record,) = read("x.txt", "Ada", text_key="body")
    assert (record.text, record.meta) == ("Ada", {})


def test_a_byte_order_mark_is_no_text(read):
    (record,) = read("x.txt", b"\xef\xbb\xbfAda", on_warning=lambda _: None)
    assert record.text == "Ada"


def test_a_long_text_file_is_counted_and_not_kept(read):
    (reject,) = read("x.txt", "é" * 3_000_000)
    assert reject.kind == "text_too_long"
    assert reject.id == "x"
    assert reject.message.startswith("x.txt:1 has 3,000,000 characters as its 'text'")


@pytest.mark.parametrize("before", [0, 2**20 - 1, 2**20])
@pytest.mark.parametrize("bad", [b"\xe9 ", b"\xe4\xb8", b"\xf0\x9f\x98"])
def test_bad_bytes_in_a_text_file_are_found(read, before, bad):
    (reject,) = read("x.txt", b"x" * before + bad)
    assert reject.message.startswith(f"x.txt:1 is not valid UTF-8 at byte {before} of the file.")


# CSV


def test_csv_rows(read):
    rows = read(
        "x.csv",
        'id,text,year,questions\n7,"Ada, and ""Bob""\nwrote.",1843,Who?\n\n'
        ',b,,"[""Who?"", {""id"": ""w"", ""text"": ""When?""}]"\n',
        on_warning=lambda _: None,
    )
    assert rows == [
        Record(
            0,
            "7",
            'Ada, and "Bob"\nwrote.',
            {"year": "1843"},
            (Question("r1", "Who?"),),
            "x.csv",
            2,
        ),
        Record(
            1,
            "x:5",
            "b",
            {"year": ""},
            (Question("r1", "Who?"), Question("w", "When?")),
            "x.csv",
            5,
        ),
    ]


def test_csv_takes_nothing_for_a_number_or_a_gap(read):
    rows = read("x.csv", "id,text,n\n007,NA,NaN\n1e3,null,None\n")
    assert [(row.id, row.text, row.meta["n"]) for row in rows] == [
        ("007", "NA", "NaN"),
        ("1e3", "null", "None"),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_delimiters(read, delimiter):
    content = f'id{delimiter}"text"\n1{delimiter}"a{delimiter}b"\n'
    (record,) = read("x.csv", content)
    assert (record.id, record.text) == ("1", f"a{delimiter}b")


def test_csv_column_names_are_made_unique(read):
    (record,) = read("x.csv", ' text ,,a,a,"a"\n1,2,3,4,5\n')
    assert record.meta == {"column_2": "2", "a": "3", "a_2": "4", "a_3": "5"}


def test_csv_without_the_column_stops_before_anything_is_read(write):
    source = write("x.csv", "id,body\n1,a\n")
    with pytest.raises(NoTextColumn) as error:
        read_corpus(source)
    assert str(error.value) == (
        "x.csv has no column 'text'; it has: id, body. Name the column with --text-key."
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,a,b", "the first row names 2 columns and this one has 3"),
        ("1", "the first row names 2 columns and this one has 1"),
        ('1,"a"b', "',' expected after '\"'"),
    ],
)
def test_a_bad_csv_row_costs_no_other(read, row, message):
    reject, record = read("x.csv", f"id,text\n{row}\n2,b\n")
    assert reject.kind == "bad_csv_row"
    assert reject.message == (
        f"x.csv:2 is not a row of this CSV file: {message}. Put cells that hold a delimiter, a "
        'quote or a line end between double quotes, and write a quote as "".'
    )
    assert (record.id, record.line) == ("2", 3)


def test_an_open_quote_swallows_no_rows(read):
    rows = read("x.csv", 'id,text\n1,"a\n2,b\n3,c\n')
    assert [(row.id, row.line) for row in rows] == [("x:2", 2), ("2", 3), ("3", 4)]
    assert "a quote is opened and never closed" in rows[0].message


def test_quotes_without_end_are_not_read_for_ever(read, monkeypatch):
    # Every line leaves a quote open, whether it stands in an open one or not, so that each of
    # the 3,000 lines would be read 3,000 times.
    monkeypatch.setattr("nlp_pipeline.corpus.csv_table.line_limit", lambda _: 100_000)
    *rejects, last = read("x.csv", "text\n" + 'x","z\n' * 3000)
    assert 10 < len(rejects) < 200
    assert {row.kind for row in rejects} == {"bad_csv_row"}
    assert last.kind == "unreadable_file"
    assert "too many quotes are opened and never closed" in last.message


def test_a_csv_row_over_the_limit(read):
    cell = ("x" * 999 + "\n") * 20_000
    reject, *rest = read("x.csv", f'id,text\n1,"{cell}"\n', on_warning=lambda _: None)
    assert reject.kind == "line_too_long"
    assert reject.message == (
        "x.csv:2 is too long: at most 16,777,216 bytes are read as one record and it has more "
        "bytes than that. Split the document, close an open quote, or raise --max-chars."
    )
    assert {row.kind for row in rest} == {"bad_csv_row"}


def test_a_csv_cell_longer_than_the_csv_module_likes(read):
    (record,) = read("x.csv", "text\n" + "x" * 500_000, max_length=600_000)
    assert len(record.text) == 500_000


def test_bad_bytes_in_csv_cost_one_row(read):
    reject, record = read("x.csv", b'id,text\n1,"a\n\xe9"\n2,b\n')
    assert reject.message.startswith("x.csv:2 is not valid UTF-8 at byte 13 of the file.")
    assert record.id == "2"


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;", "\ufeffsep=;", "sep=;\r"])
def test_the_line_in_which_a_spreadsheet_names_the_delimiter(read, line):
    (record,) = read("x.csv", f"{line}\nid;text\n1;a, b\n", on_warning=lambda _: None)
    assert (record.id, record.text, record.line) == ("1", "a, b", 3)


@pytest.mark.parametrize("delimiter", [",", "\t", "|", "^", ":"])
def test_any_delimiter_can_be_named(read, delimiter):
    lines = [f"sep={delimiter}", f"id{delimiter}text", f"1{delimiter}a"]
    (record,) = read("x.csv", "\n".join(lines))
    assert (record.id, record.text) == ("1", "a")


def test_a_delimiter_that_the_first_row_does_not_use(read):
    (record,) = read("x.csv", "sep=|\nid;text\n1;a\n")
    assert record.text == "a"
    assert list(read("x.csv", "sep=;\n", on_warning=lambda _: None)) == []


WINDOWS = "Café in Graz – 20 €.".encode("cp1252")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.csv", b"id;text\r\n1;" + WINDOWS + b"\r\n"),
        ("x.jsonl", b'{"text": "' + WINDOWS + b'"}\n'),
        ("x.txt", WINDOWS),
        ("x.conllu", b"1\t" + WINDOWS + b"\t_\t_\t_\t_\t_\t_\t_\t_\n"),
    ],
)
def test_windows_1252_is_named_and_its_advice_is_right(read, name, data):
    (reject,) = read(name, data)
    assert reject.message.endswith(
        " of the file. It looks like Windows-1252. Convert the file, such as with "
        "`iconv -f cp1252 -t utf-8`."
    )
    assert WINDOWS.decode("cp1252") in data.decode("cp1252")


def test_all_lines_of_a_file_get_the_same_advice(read):
    rows = read("x.csv", b"text\nGr\xfcn\n\x80 5\n")
    assert {row.message.partition(". ")[2] for row in rows} == {
        "It looks like Windows-1252. Convert the file, such as with `iconv -f cp1252 -t utf-8`."
    }


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        (b"Gr\xfcn.", "Convert the file, such as with `iconv -f latin1 -t utf-8`."),
        (b"\x81\xaf\x90", "Find out its encoding from who made it, and convert the file"),
        ("Überall größer, \u201cso\u201d ".encode() + b"\xff", "Most of it is UTF-8: mend that"),
        (b"cut \xf0\x9f\x98", "It breaks off inside a character: fetch the file again, or"),
    ],
)
def test_bytes_that_are_something_else(read, data, advice):
    (reject,) = read("x.txt", data)
    assert f" of the file. {advice}" in reject.message


def test_a_csv_header_that_is_no_utf8_is_one_reject(read):
    (reject,) = read("x.csv", b"text,abc\xe9\na,b\n")
    assert (reject.kind, reject.line) == ("invalid_utf8", 1)


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(st.tuples(cells.filter(str.strip), cells), min_size=1))
def test_any_csv_comes_back_equal(tmp_path, rows):
    path = tmp_path / "x.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "other"), *rows])
    read = records_of(read_corpus(path, on_warning=lambda _: None))
    assert [(row.text, row.meta["other"]) for row in read] == rows


# Parquet


def parquet(path, table: dict[str, object]) -> str:
    pq.write_table(pa.table(table), path)
    return str(path)


def test_parquet_rows_become_plain_json(tmp_path):
    source = parquet(
        tmp_path / "x.parquet",
        {
            "id": [1, 2, None],
            "text": ["a", "b", "c"],
            "n": [1.5, float("nan"), None],
            "day": [date(2024, 2, 29)] * 3,
            "at": [datetime(2024, 2, 29, 12)] * 3,
            "price": [Decimal("1.10")] * 3,
            "nested": [{"a": [1, None]}] * 3,
            "bytes": [b"ok", b"\xff", None],
            "questions": [["Who?"], None, []],
        },
    )
    said: list[str] = []
    rows = records_of(read_corpus(source, on_warning=said.append))
    assert [(row.id, row.line, row.questions) for row in rows] == [
        ("1", 1, (Question("r1", "Who?"),)),
        ("2", 2, ()),
        ("x:3", 3, ()),
    ]
    assert rows[0].meta == {
        "n": 1.5,
        "day": "2024-02-29",
        "at": "2024-02-29T12:00:00",
        "price": "1.10",
        "nested": {"a": [1, None]},
        "bytes": "ok",
    }
    assert (rows[1].meta["n"], rows[1].meta["bytes"]) == (None, None)
    assert [text.split(" ", 1)[1].split(",")[0] for text in said] == [
        "holds NaN or an infinite number",
        "holds bytes that are not UTF-8 in its other fields",
    ]


def test_parquet_ids_that_pandas_made_floats(tmp_path):
    source = parquet(tmp_path / "x.parquet", {"id": [1.0, float("nan")], "text": ["a", "b"]})
    rows = list(read_corpus(source, on_warning=lambda _: None))
    assert [row.id for row in rows] == ["1", "x:2"]


def test_parquet_over_several_batches(tmp_path):
    source = parquet(tmp_path / "x.parquet", {"text": [f"t{i}" for i in range(1000)]})
    assert [row.text for row in records_of(read_corpus(source))] == [f"t{i}" for i in range(1000)]


def test_parquet_texts_that_are_none(tmp_path):
    source = parquet(tmp_path / "x.parquet", {"text": pa.array([b"a", None, b"\xff", b""])})
    rows = list(read_corpus(source))
    kinds = [getattr(row, "kind", None) for row in rows]
    assert kinds == [None, "null_text", "invalid_utf8", "empty_text"]
    reject = rejects_of(rows[1:])[1]
    assert reject.message.startswith(f"{source}:3 is not valid UTF-8. Convert the file")
    numbers = parquet(tmp_path / "y.parquet", {"text": [1, 2]})
    assert [row.kind for row in rejects_of(read_corpus(numbers))] == ["text_not_string"] * 2


def test_parquet_strings_that_are_no_utf8_cost_one_row(tmp_path):
    bad = pa.StringArray.from_buffers(
        3,
        pa.array([0, 1, 2, 3], pa.int32()).buffers()[1],
        pa.py_buffer(b"a\xffc"),
    )
    source = parquet(tmp_path / "x.parquet", {"text": bad})
    rows = list(read_corpus(source))
    assert [getattr(row, "kind", None) for row in rows] == [None, "invalid_utf8", None]


def test_parquet_columns_of_one_name_are_all_read(tmp_path):
    columns = [pa.array(values) for values in (["a"], ["first"], ["second"], ["third"], ["x"])]
    table = pa.Table.from_arrays(columns, names=["id", "text", "text", "", "text_2"])
    pq.write_table(table, tmp_path / "x.parquet")
    said: list[str] = []
    (record,) = records_of(read_corpus(tmp_path / "x.parquet", on_warning=said.append))
    assert (record.id, record.text) == ("a", "first")
    assert record.meta == {"text_3": "second", "column_4": "third", "text_2": "x"}
    assert "has two columns 'text'" in said[0]


def test_parquet_structs_with_fields_of_one_name(tmp_path):
    pair = pa.StructArray.from_arrays([pa.array(["x", None]), pa.array(["y", "z"])], ["a", "a"])
    deep = pa.StructArray.from_arrays(
        [pair, pa.array([1, 2])], ["pair", "n"], mask=pa.array([False, True])
    )
    listed = pa.ListArray.from_arrays([0, 2, 2], pair)
    source = parquet(tmp_path / "x.parquet", {"text": ["t", "u"], "deep": deep, "listed": listed})
    one, two = records_of(read_corpus(source))
    assert one.meta == {
        "deep": {"pair": {"a": "x", "a_2": "y"}, "n": 1},
        "listed": [{"a": "x", "a_2": "y"}, {"a": None, "a_2": "z"}],
    }
    assert two.meta == {"deep": None, "listed": []}


@pytest.mark.parametrize(
    ("doc", "text_key"),
    [
        ([{"text": "Hello", "n": 7}, None], "doc.text"),
        ([{"body": {"text": "Hello", "n": 7}}, {"body": None}], "doc.body.text"),
        ([{"text": b"Hello", "n": 7}, None], "doc.text"),
    ],
)
def test_parquet_keys_lead_into_structs(tmp_path, doc, text_key):
    id_key = text_key.replace("text", "n")
    source = parquet(tmp_path / "x.parquet", {"doc": doc})
    one, two = read_corpus(source, text_key=text_key, id_key=id_key)
    assert isinstance(one, Record)
    assert isinstance(two, Reject)
    assert (one.id, one.text) == ("7", "Hello")
    assert two.kind == "missing_text"
    with pytest.raises(NoTextColumn, match=rf"it has: doc, (doc.body, )?{text_key}, {id_key}\."):
        read_corpus(source, text_key="doc.nothing")


def test_a_parquet_column_with_a_dot_goes_before_a_struct(tmp_path):
    table = {"doc.text": ["flat"], "doc": [{"text": "deep"}]}
    source = parquet(tmp_path / "x.parquet", table)
    (record,) = records_of(read_corpus(source, text_key="doc.text"))
    assert (record.text, record.meta) == ("flat", {"doc": {"text": "deep"}})


def test_parquet_without_the_column(tmp_path):
    source = parquet(tmp_path / "x.parquet", {"body": ["a"]})
    with pytest.raises(NoTextColumn, match=r"has no column 'text'; it has: body\."):
        read_corpus(source)


def test_a_damaged_parquet_is_one_reject(tmp_path):
    source = parquet(tmp_path / "x.parquet", {"text": ["abcdef" * 50] * 100})
    data = bytearray((tmp_path / "x.parquet").read_bytes())
    data[4:60] = bytes(56)
    (tmp_path / "x.parquet").write_bytes(data)
    (reject,) = rejects_of(read_corpus(source))
    assert reject.kind == "unreadable_file"


def test_one_question_under_two_ids_keeps_two_rows(tmp_path):
    said = [("a", ["Ada"]), ("b", []), ("b", ["Bo"]), (None, ["Cy"])]
    asked = [
        {"question": "Who left?", "answers": [{"text": text} for text in answers]}
        | ({} if name is None else {"id": name})
        for name, answers in said
    ]
    file = tmp_path / "x.json"
    paragraph = {"context": "Ada and Bo left.", "qas": asked[:3]}
    file.write_text(json.dumps({"data": [{"paragraphs": [paragraph]}]}))
    (record,) = records_of(read_corpus(file))
    assert [(q.id, q.text, q.answers) for q in record.questions] == [
        ("a", "Who left?", ("Ada",)),
        ("b", "Who left?", ("Bo",)),
    ]
    questions = [{"id": "a", "text": "Who?"}, {"id": "b", "text": "Who?"}]
    for more, kind in ([], None), (["Who?"], "bad_questions"):
        file = tmp_path / "x.jsonl"
        file.write_text(json.dumps({"text": "t", "questions": [*questions, *more]}))
        (row,) = read_corpus(file)
        assert getattr(row, "kind", None) == kind
