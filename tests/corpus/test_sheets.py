"""Excel workbooks, tab-separated values, JSON arrays, patterns."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from office_files import zipped

from nlp_pipeline.corpus import Record, Reject, read_corpus
from nlp_pipeline.corpus.document_count import count_documents
from nlp_pipeline.errors.corpus import CorpusNotFound, NoTextColumn, UnsupportedCorpus
from nlp_pipeline.errors.documents import ReaderNotInstalled


def workbook(**sheets: list[list[Any]]) -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    book.close()
    return out.getvalue()


def test_a_row_is_a_document(read) -> None:
    rows: list[list[Any]] = [["id", "text", "day", "n"]]
    rows += [[1, "One.", date(2024, 1, 2), 2.5], [], [2, 7], [3, None]]
    one, two, three = read("a.xlsx", workbook(Sheet=rows))
    assert isinstance(one, Record)
    assert (one.id, one.text, one.line) == ("1", "One.", 2)
    assert one.meta == {"day": "2024-01-02T00:00:00", "n": 2.5}
    assert [item.kind for item in (two, three)] == ["text_not_string", "missing_text"]
    assert (two.id, three.line) == ("2", 5)
    assert count_documents("a.xlsx") == 4


def test_every_sheet_with_the_column(read) -> None:
    items = read(
        "a.xlsx",
        workbook(A=[["text"], ["One."]], notes=[["x"], ["y"]], B=[["n", "text"], [1, "Two."]]),
    )
    assert [(item.id, item.text, item.meta) for item in items] == [
        ("a:2", "One.", {"sheet": "A"}),
        ("a:2~2", "Two.", {"n": 1, "sheet": "B"}),
    ]


def test_sheets_that_are_numbered_each_by_itself(read) -> None:
    rows: list[list[Any]] = [["id", "text"], [1, "One."], [1, "Again."]]
    warnings: list[str] = []
    items = read("a.xlsx", workbook(A=rows, B=rows), on_warning=warnings.append)
    assert [(item.id, getattr(item, "kind", "")) for item in items] == [
        *(("1", ""), ("a:3", "duplicate_id"), ("a#B#1", ""), ("a:3~2", "duplicate_id"))
    ]
    assert warnings[0].startswith(
        "a.xlsx:2 has the id '1', which a record of a.xlsx#A has too: it is called 'a#B#1', "
    )


def altered(book: bytes, before: bytes, after: bytes) -> bytes:
    """A workbook whose first sheet is written otherwise."""
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    sheet = files["xl/worksheets/sheet1.xml"]
    assert before in sheet
    return zipped({**files, "xl/worksheets/sheet1.xml": sheet.replace(before, after)})


@pytest.mark.parametrize("size", [b'<dimension ref="A1"', b'<dimension ref="A1:ZZ9"'])
def test_a_sheet_that_is_wrong_about_its_size(read, size: bytes) -> None:
    """As those of many programs are."""
    book = workbook(A=[["id", "text"], [1, "One."], [2, "Two."]])
    items = read("a.xlsx", altered(book, b'<dimension ref="A1:B3"', size))
    assert [(item.id, item.text) for item in items] == [("1", "One."), ("2", "Two.")]


def test_letters_that_a_workbook_cannot_hold_as_they_are(read) -> None:
    (record,) = read("a.xlsx", workbook(A=[["text"], ["One._x000D_\nTwo _x005F_x000D_ a_x_b"]]))
    assert record.text == "One.\r\nTwo _x000D_ a_x_b"


def test_two_columns_of_one_name(write) -> None:
    name = write("a.xlsx", workbook(A=[["text", "text"], ["One.", "Another."]]))
    warnings: list[str] = []
    (record,) = read_corpus(name, on_warning=warnings.append)
    assert isinstance(record, Record)
    assert (record.text, record.meta) == ("One.", {"text_2": "Another."})
    assert warnings == [
        "a.xlsx:1 has two columns 'text'; the second is read as 'text_2'. Said once; there may be "
        "more."
    ]


def test_no_sheet_with_the_column(read) -> None:
    with pytest.raises(NoTextColumn, match=r"^a\.xlsx has no column 'text'; it has: x, y, z\."):
        read("a.xlsx", workbook(A=[["x", "y"], [1, 2]], B=[["z", "x"]]))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"no archive", "document_broken"),
        (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(100), "document_locked"),
        (zipped({"xl/worksheets/sheet1.xml": bytes(2**26)}), "document_too_large"),
        (zipped({"a": "b"}), "unreadable_file"),
    ],
)
def test_bad_workbooks(read, content: bytes, kind: str) -> None:
    pytest.importorskip("openpyxl")
    (reject,) = read("a.xlsx", content)
    assert isinstance(reject, Reject)
    assert reject.kind == kind


def test_without_the_package(read, monkeypatch) -> None:
    from nlp_pipeline.corpus import xlsx_table

    monkeypatch.setattr(xlsx_table, "find_spec", lambda name: None)
    with pytest.raises(ReaderNotInstalled, match=r"type `pip install 'openpyxl>=3\.1,<4'`\.$"):
        read("a.xlsx", b"")


def test_tab_separated_values(read) -> None:
    (record,) = read("a.tsv", "id\ttext\tn\nx\tOne, and; two.\t3\n")
    assert (record.id, record.text, record.meta) == ("x", "One, and; two.", {"n": "3"})
    assert count_documents("a.tsv") == 1


def test_lines_that_end_with_cr_alone(read) -> None:
    (reject,) = read("a.csv", b"text,id\rOne.,1\rTwo.,2\r")
    assert reject.message.startswith(
        "a.csv:1 is not a row of this CSV file: its lines end with CR alone, which "
        "`tr '\\r' '\\n'` makes LF."
    )


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b" \n"])
def test_an_array_of_records(read, mark: bytes) -> None:
    data = mark + b'[{"id": "x", "text": "One."}, 5, {"text": "Two.", "n": {"a": [1]}}]\n'
    first, second, third = read("a.json", data)
    assert (first.id, first.text, first.line) == ("x", "One.", 1)
    assert second.kind == "not_an_object"
    assert (third.id, third.meta, third.line) == ("a:3", {"n": {"a": [1]}}, 3)
    assert count_documents("a.json") == 3


@pytest.mark.parametrize(
    ("data", "kinds"),
    [
        (b"[]", []),
        (b'[{"text": "One."}', ["", "invalid_json"]),
        (b'[{"text": "One."}] x', ["", "invalid_json"]),
        (b'[{"text": "One.", }, {"text": "Two."}]', ["invalid_json", ""]),
        (b'[{"text": "\xff"}, {"text": "Two."}]', ["invalid_utf8", ""]),
    ],
)
def test_arrays_that_are_not_whole(read, data: bytes, kinds: list[str]) -> None:
    items = read("a.json", data)
    assert [getattr(item, "kind", "") for item in items] == kinds


def test_a_pattern_is_a_folder_of_what_it_names(write) -> None:
    for name, text in (("in/b/2.txt", "Two."), ("in/a/1.txt", "One."), ("in/c.md", "# No")):
        write(name, text)
    items = list(read_corpus("in/**/*.txt"))
    assert [(item.id, item.source) for item in items] == [
        ("a/1.txt", "in/a/1.txt"),
        ("b/2.txt", "in/b/2.txt"),
    ]
    with pytest.raises(CorpusNotFound, match=r"matches the pattern 'in/\*\.txt'"):
        read_corpus("in/*.txt")
    write("in/x.bin", "")
    with pytest.raises(UnsupportedCorpus, match=r"'in/x\.bin' has no format"):
        read_corpus("in/*.bin")


def test_a_file_whose_name_looks_like_a_pattern(write) -> None:
    (record,) = read_corpus(Path(write("a[1].txt", "One.")))
    assert record.id == "a[1]"
