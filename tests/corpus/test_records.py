"""What becomes of good records: ids, meta, questions, warnings, limit."""

from __future__ import annotations

import json
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlp_pipeline.corpus import Question, Record, read_corpus
from nlp_pipeline.errors.corpus import NoTextField


def test_a_record_holds_all_of_its_line(read):
    line = {
        "id": "a",
        "text": "Ada wrote.",
        "meta": {"year": 1843},
        "author": {"name": "Ada"},
        "questions": ["Who?", {"id": "when", "text": "When?"}, {"text": "Where?"}],
    }
    assert read("x.jsonl", json.dumps(line)) == [
        Record(
            index=0,
            id="a",
            text="Ada wrote.",
            meta={"author": {"name": "Ada"}, "year": 1843},
            questions=(
                Question("r1", "Who?"),
                Question("when", "When?"),
                Question("r3", "Where?"),
            ),
            source="x.jsonl",
            line=1,
        )
    ]


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        ('"a"', "a"),
        ("7", "7"),
        ("-7", "-7"),
        ("18446744073709551615", "18446744073709551615"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("null", "x:1"),
        ('""', "x:1"),
        ('"é\\ud800"', "é\ufffd"),
    ],
)
def test_ids(read, id, expected):
    (record,) = read("x.jsonl", f'{{"id": {id}, "text": "a"}}', on_warning=lambda _: None)
    assert record.id == expected


def test_every_row_has_its_own_id_whatever_records_call_themselves(read):
    lines = [
        '{"id": "x:2", "text": "a"}',
        "broken",
        '{"id": "x:2~2", "text": "b"}',
        '{"text": "c"}',
    ]
    ids = [row.id for row in read("x.jsonl", "\n".join(lines))]
    assert ids == ["x:2", "x:2~2", "x:3", "x:4"]


def test_a_reject_is_named_by_its_id_where_it_has_one_of_its_own(read):
    lines = ['{"id": "a"}', '{"id": "a", "text": "b"}', '{"id": 7, "text": ""}', '{"id": [1]}']
    rows = read("x.jsonl", "\n".join([*lines, '{"id": "7", "text": ""}', '{"id": "']))
    assert [row.id for row in rows] == ["a", "x:2", "7", "x:4", "x:5", "x:6"]
    assert rows[1].kind == "duplicate_id"


@pytest.mark.parametrize(
    ("line", "meta"),
    [
        ('{"text": "a"}', {}),
        ('{"text": "a", "meta": null}', {}),
        ('{"text": "a", "meta": {}, "b": null}', {"b": None}),
        ('{"text": "a", "meta": [1], "b": 2}', {"meta": [1], "b": 2}),
        ('{"text": "a", "meta": "m"}', {"meta": "m"}),
        ('{"text": "a", "meta": {"meta": {"x": 1}}}', {"meta": {"x": 1}}),
        ('{"text": "a", "meta": {"text": "b", "id": "c"}}', {"text": "b", "id": "c"}),
    ],
)
def test_other_keys_fold_into_meta(read, line, meta):
    (record,) = read("x.jsonl", line)
    assert record.meta == meta


def test_fields_are_renamed_and_the_usual_names_fold(read):
    (record,) = read(
        "x.jsonl",
        '{"body": "a", "doc": 7, "text": "b", "id": "c"}',
        text_key="body",
        id_key="doc",
    )
    assert (record.id, record.text, record.meta) == ("7", "a", {"text": "b", "id": "c"})


WARNINGS = [
    (
        b'\xef\xbb\xbf{"text": "a"}\n',
        "x.jsonl:1 starts with a byte order mark, which was left out.",
    ),
    (b'{"text": "a"}\r\n', "x.jsonl:1 ends with CR LF; such line ends are read like LF."),
    (
        b'{"text": "a", "x": [NaN, -Infinity, 1e999]}',
        "x.jsonl:1 holds NaN or an infinite number, which was read as null.",
    ),
    (
        b'{"text": "a\x07"}',
        "x.jsonl:1 holds a control character that JSON wants escaped; it was kept.",
    ),
    (
        b'{"text": "a\\udc00"}',
        "x.jsonl:1 holds half a surrogate pair, which was read as U+FFFD.",
    ),
    (
        b'{"text": "a", "x": -12345678901234567890123}',
        "x.jsonl:1 holds an integer of more than 64 bits, which was read as a string.",
    ),
    (
        b'{"text": "a", "meta": {"y\x1b": 1}, "y\x1b": 2}'.replace(b"\x1b", b"\\u001b"),
        "x.jsonl:1 has 'y\\x1b' both beside and in its 'meta'; the one in 'meta' was kept.",
    ),
]


@pytest.mark.parametrize(("content", "warning"), WARNINGS)
def test_what_is_not_read_as_it_stands_is_said(read, content, warning):
    said: list[str] = []
    (record,) = read("x.jsonl", content, on_warning=said.append)
    assert isinstance(record, Record)
    assert said == [f"{warning} Said once; there may be more."]


def test_a_warning_comes_once_a_corpus(read):
    said: list[str] = []
    assert len(read("x.jsonl", '{"text": "a", "x": NaN}\n' * 5, on_warning=said.append)) == 5
    assert len(said) == 1


def test_values_that_json_has_not(read):
    line = (
        '{"text": "a\\ud800\x01", "x": [NaN, {"y": Infinity}], "z": 18446744073709551616, '
        '"f": 1e300}'
    )
    (record,) = read("x.jsonl", line, on_warning=lambda _: None)
    assert record.text == "a\ufffd\x01"
    assert record.meta == {"x": [None, {"y": None}], "z": "18446744073709551616", "f": 1e300}


def test_blank_lines_are_counted(read):
    said: list[str] = []
    rows = read("x.jsonl", '\n{"text": "a"}\n \t\n\n{"text": "b"}', on_warning=said.append)
    assert [row.line for row in rows] == [2, 5]
    assert said == ["Blank lines passed over: 3."]


def test_an_empty_file_holds_no_documents(read):
    said: list[str] = []
    assert read("x.jsonl", "", on_warning=said.append) == []
    assert said == ["x.jsonl holds no documents."]


def test_warnings_nobody_takes_are_logged(read, caplog):
    with caplog.at_level(logging.WARNING, "nlp_pipeline.corpus"):
        read("x.jsonl", "")
    assert caplog.messages == ["x.jsonl holds no documents."]


@pytest.mark.parametrize(
    ("limit", "ids"), [(0, []), (2, ["x:1", "x:2"]), (9, ["x:1", "x:2", "x:3"])]
)
def test_limit_counts_rejects(read, limit, ids):
    rows = read("x.jsonl", '{"text": "a"}\nbroken\n{"text": "b"}', limit=limit)
    assert [row.id for row in rows] == ids


texts = st.lists(
    st.text(
        st.one_of(
            st.characters(exclude_categories=["Cs"]),
            st.sampled_from('\u2028\u2029\u0085\r\n\x0b\x0c\x1c\ufeff👩\u200d\u0301\u202e\0"\\'),
        ),
        min_size=1,
    ).filter(str.strip),
    min_size=1,
)


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    texts=texts,
    end=st.sampled_from(["\n", "\r\n"]),
    ascii=st.booleans(),
    bom=st.sampled_from(["", "\ufeff"]),
)
def test_any_texts_come_back_equal_and_in_order(tmp_path, texts, end, ascii, bom):
    path = tmp_path / "x.jsonl"
    lines = [json.dumps({"text": text, "copy": text}, ensure_ascii=ascii) for text in texts]
    path.write_bytes((bom + end.join(lines)).encode())
    rows = list(read_corpus(path, on_warning=lambda _: None))
    assert [row.text for row in rows if isinstance(row, Record)] == texts
    assert [row.meta["copy"] for row in rows if isinstance(row, Record)] == texts
    assert [row.index for row in rows] == list(range(len(texts)))
    assert [row.id for row in rows] == [f"x:{line}" for line in range(1, len(texts) + 1)]


def test_the_text_and_the_id_may_stand_in_objects(read):
    line = '{"content": {"body": "a", "n": 1}, "key": {"no": 7}, "x": 2}'
    (record,) = read("x.jsonl", line, text_key="content.body", id_key="key.no")
    assert (record.id, record.text) == ("7", "a")
    assert record.meta == {"content": {"n": 1}, "key": {}, "x": 2}


@pytest.mark.parametrize(
    "line", ['{"content": "a"}', '{"content": {"head": "a"}}', '{"content": {"body": {"x": "a"}}}']
)
def test_a_way_into_objects_that_leads_nowhere(read, line):
    (reject,) = read("x.jsonl", line, text_key="content.body")
    assert reject.kind in ("missing_text", "text_not_string")
    assert "'content.body'" in reject.message


def test_a_field_whose_name_has_a_dot_comes_first(read):
    line = '{"a.b": "this", "a": {"b": "not this"}}'
    (record,) = read("x.jsonl", line, text_key="a.b")
    assert (record.text, record.meta) == ("this", {"a": {"b": "not this"}})


def test_rows_of_csv_may_end_with_cr_lf(read):
    """By RFC 4180 they do; that is no reason for a warning."""
    said: list[str] = []
    (record,) = read("x.csv", b"id,text\r\n1,a\r\n", on_warning=said.append)
    assert (record.text, said) == ("a", [])


@pytest.mark.parametrize("name", ["x.jsonl", "x.json"])
def test_a_file_of_records_of_which_none_has_the_text(read, name):
    records = [{"id": n, "txt": "a"} for n in range(150)]
    lines = "\n".join(map(json.dumps, records))
    content = lines if name == "x.jsonl" else json.dumps(records)
    with pytest.raises(NoTextField) as caught:
        read(name, content)
    assert str(caught.value) == (
        f"{name} has no 'text' in any of its first 100 records; they have: id, txt. Did you mean "
        "'txt'? Name the field with --text-key."
    )
    broken = read("y.jsonl", "{]\n" + lines.splitlines()[0])
    assert [row.kind for row in broken] == ["invalid_json", "missing_text"]


def test_a_file_of_a_folder_without_the_text_costs_no_other(write):
    write("d/a.jsonl", '{"body": "a"}\n{"body": "b"}\n')
    write("d/b.jsonl", '{"text": "c"}')
    assert [getattr(row, "kind", "") for row in read_corpus("d")] == [
        *("missing_text", "missing_text", "")
    ]
