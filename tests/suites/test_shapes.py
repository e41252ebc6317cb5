"""The shapes of public test suites, as data of our own: what is JSON, UTF-8, CSV, and what is not.

Every shape is one record, or one row, between two good ones. It is a record with the right text, or
one error record; whatever it is, the good ones are read, in their places.
`pytest -m suites` runs these alone.
"""

# ruff: noqa: E501

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Literal

import pytest
from read_items import records_of, rejects_of

from nlp_pipeline.corpus import Record, Reject, read_corpus

pytestmark = pytest.mark.suites

# What a parser has to take (y), has to refuse (n), and may do as it likes with (i).
JSON_VALUES: dict[str, list[str]] = {
    "y": [
        *("0", "-0", "1", "-1", "123", "1.5", "0.1", "1e2", "1E2", "1e+2", "1e-2", "0e1", "1.5e3"),
        *('""', '"a"', '"\\""', '"\\\\"', '"\\/"', '"\\b\\f\\n\\r\\t"', '"\\u0041"', '"\\u00e9"'),
        *('"\\ud83d\\ude00"', '"\\u0000"', '"\\uffff"', '"é"', '"\u2028"', '"\x7f"', '"\U0010ffff"'),
        *("[]", "[1]", "[1,2]", "[ 1 , 2 ]", "[[]]", "[null]", '["a",1,{}]', "[\t1\r]"),
        *("{}", '{"a":1}', '{"a":{"b":[]}}', '{"":0}', '{"a":1,"a":2}', '{ "a" : 1 }', '{"\\u0061":1}'),
        *("true", "false", "null", " 1 ", "\t1", "[" * 50 + "]" * 50),
    ],
    "n": [
        *("01", "-01", "+1", ".5", "1.", "1.e1", "1e", "1e+", "-", "--1", "0x1", "1_0", "1a", "0.1.2"),
        *('"', '"a', '"\\', '"\\x41"', '"\\u"', '"\\u12"', '"\\u12g4"', "'a'", '"\\a"', '"a" "b"', '"a"b'),
        *("[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1,,2]", "[1:2]", '["a":1]', "[1}", "[a]"),
        *("{", "}", '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', '{a:1}', "{'a':1}", '{1:1}'),
        *('{"a" 1}', '{"a"::1}', '{"a":1 "b":2}', '{"a":1,,"b":2}', '{,}', '{"a":1]', '{"a"}', "{[]}"),
        *("True", "None", "nul", "tru", "undefined", "/**/1", "1//x", "#", "<1>", "\\u0031", "\x001"),
        *("[\x0c1]", "\u00a01", "\u20281", "\ufeff1", "@", "1;", "=1", "*", "&", "(1)"),
    ],
    "i": [
        *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "123456789012345678901234567890"),
        *("-" + "9" * 400, "9" * 5000, "0." + "3" * 5000, "1e-999", '"\\ud83d"', '"\\ude00"'),
        *('"\\ude00\\ud83d"', '"\\ud83d\\ud83d"', '"a\tb"', '"a\x01b"', '"\\ud83dx"', "[" * 500 + "]" * 500),
    ],
}  # fmt: skip


@pytest.mark.parametrize("kind", JSON_VALUES)
def test_json_by_class(tmp_path: Path, kind: str) -> None:
    """Each value as the field of a record; three hundred records in one file."""
    values = JSON_VALUES[kind]
    good = json.dumps({"text": "good"})
    lines = [line for value in values for line in (f'{{"text": "x", "v": {value}}}', good)]
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    rows = list(read_corpus(path, on_warning=lambda _: None))
    assert len(rows) == 2 * len(values)
    assert all(isinstance(row, Record) and row.text == "good" for row in rows[1::2])
    for value, row in zip(values, rows[::2], strict=True):
        if kind == "y":
            assert isinstance(row, Record), value
            assert row.meta["v"] == json.loads(value), value
        elif kind == "n":
            assert isinstance(row, Reject), value
            assert row.kind == "invalid_json", value
        else:
            assert isinstance(row, Record) or row.kind == "too_deep", value
        assert json.dumps(getattr(row, "meta", {}), ensure_ascii=False).encode()


@pytest.mark.parametrize("kind", JSON_VALUES)
def test_json_by_class_in_squad(tmp_path: Path, kind: str) -> None:
    """The same values in a paragraph; one whose brackets or quotes do not close costs the rest."""
    for value in JSON_VALUES[kind]:
        path = tmp_path / "x.json"
        body = f'{{"data": [{{"paragraphs": [{{"context": "a"}}, {{"context": "x", "v": {value}}}, '
        path.write_text(body + '{"context": "c"}]}]}', encoding="utf-8", newline="")
        rows = list(read_corpus(path, on_warning=lambda _: None))
        assert isinstance(rows[0], Record), value
        assert (rows[0].text, rows[0].line) == ("a", 1)
        if kind != "n":
            assert [getattr(row, "text", None) for row in rows[::2]] == ["a", "c"], value
        else:
            assert any(isinstance(row, Reject) for row in rows), value


UTF8: dict[str, list[bytes]] = {
    "valid": [
        *(chr(point).encode() for point in (0x20, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFD)),
        *(chr(point).encode() for point in (0xFFFE, 0xFFFF, 0x10000, 0x1FFFF, 0xFFFFF, 0x10FFFF)),
    ],
    "lone continuation": [bytes([b]) for b in (0x80, 0x8F, 0xA0, 0xBF)] + [b"\x80\xbf", b"\x80" * 7],
    "cut": [b"\xc2", b"\xdf", b"\xe0\xa0", b"\xe1\x80", b"\xef\xbf", b"\xf0\x90\x80", b"\xf4\x8f\xbf"],
    "overlong": [b"\xc0\x80", b"\xc1\xbf", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xf0\x80\x80\x80",
                 b"\xf0\x8f\xbf\xbf", b"\xf8\x80\x80\x80\x80", b"\xc0\xaf"],
    "surrogate": [b"\xed\xa0\x80", b"\xed\xaf\xbf", b"\xed\xb0\x80", b"\xed\xbf\xbf",
                  b"\xed\xa0\xbd\xed\xb8\x80"],
    "too large": [b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf7\xbf\xbf\xbf", b"\xf8\x88\x80\x80\x80",
                  b"\xfc\x84\x80\x80\x80\x80"],
    "never": [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff", b"\xf8", b"\xfc"],
    "broken off": [b"\xc2x", b"\xe1\x80x", b"\xf1\x80\x80x", b"\xe9t\xe9", b"\x93quoted\x94"],
}  # fmt: skip
WORD = "1\t%s\t_\t_\t_\t_\t_\t_\t_\t_\n"


def written(path: Path, piece: bytes) -> Path:
    """A file with the piece in the second of three texts."""
    forms = {
        ".jsonl": (b'{"text": "a"}\n{"text": "x', b'x"}\n{"text": "c"}\n'),
        ".csv": (b"text\na\nx", b"x\nc\n"),
        ".json": (b'{"data": [{"paragraphs": [{"context": "a"}, {"context": "x',
                  b'x"}, {"context": "c"}]}]}'),
        ".conllu": (f"# newdoc\n{WORD % 'a'}\n# newdoc\n1\tx".encode(),
                    f"x\t_\t_\t_\t_\t_\t_\t_\t_\n\n# newdoc\n{WORD % 'c'}\n".encode()),
    }  # fmt: skip
    before, after = forms[path.suffix]
    path.write_bytes(before + piece + after)
    return path


@pytest.mark.parametrize("format_", ["jsonl", "csv", "json", "conllu"])
@pytest.mark.parametrize("kind", UTF8)
def test_utf8_by_class(tmp_path: Path, kind: str, format_: str) -> None:
    for piece in UTF8[kind]:
        path = written(tmp_path / f"x.{format_}", piece)
        rows = list(read_corpus(path, on_warning=lambda _: None))
        assert [row.text for row in records_of(rows[::2])] == ["a", "c"], piece
        if kind == "valid":
            assert records_of(rows[1:2])[0].text == f"x{piece.decode()}x"
            continue
        (reject,) = rejects_of(rows[1:2])
        assert reject.kind == "invalid_utf8", piece
        byte = path.read_bytes().index(piece)
        assert f"is not valid UTF-8 at byte {byte} of the file" in reject.message, piece


@pytest.mark.parametrize("kind", UTF8)
def test_utf8_by_class_in_a_text_file(tmp_path: Path, kind: str) -> None:
    for piece in UTF8[kind]:
        (tmp_path / "x.txt").write_bytes(b"before " + piece + b" after")
        (row,) = read_corpus(tmp_path / "x.txt")
        assert getattr(row, "kind", "valid") == ("valid" if kind == "valid" else "invalid_utf8")


CELLS = [
    "",
    " ",
    "a",
    "a,b",
    "a;b",
    "a\tb",
    "a|b",
    '"',
    '""',
    "a\nb",
    "a\r\nb",
    "é",
    "'",
    "#",
]
CELLS += ["=1+1", "NULL", "nan", "0", "\u2028", "\x0b", "\\", "\\n", "x" * 3000, " lead", "trail "]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_csv_dialects(
    tmp_path: Path, delimiter: str, quoting: Literal[0, 1, 2], end: str, mark: str
) -> None:
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow(["id", "text", "more"])
    writer.writerows([f"r{n}", f"good {cell}", cell] for n, cell in enumerate(CELLS))
    (tmp_path / "x.csv").write_text(mark + target.getvalue(), encoding="utf-8", newline="")
    rows = records_of(read_corpus(tmp_path / "x.csv", on_warning=lambda _: None))
    assert [(row.id, row.text, row.meta["more"]) for row in rows] == [
        (f"r{n}", f"good {cell}", cell) for n, cell in enumerate(CELLS)
    ]
