"""PDF, Word, PowerPoint, HTML and Markdown: text of which it is known what stands where."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from office_files import docx, pdf, pptx, zipped

from nlp_pipeline.corpus import Record, Reject, read_corpus
from nlp_pipeline.corpus.documents import conversion as conversion_module
from nlp_pipeline.corpus.documents import tessdata
from nlp_pipeline.corpus.documents.conversion import Converter
from nlp_pipeline.corpus.documents.conversion_settings import ConversionSettings
from nlp_pipeline.errors.documents import (
    DocumentScanned,
    DocumentTooSlow,
    InvalidConversionSetting,
    ReaderNotInstalled,
    RecognitionDataMissing,
)
from nlp_pipeline.errors.records import Place

pytest.importorskip("kreuzberg")


class Kept(Converter):
    """A converter whose process lives as long as the tests of this module."""

    def close(self) -> None:
        """Not yet."""


@pytest.fixture(scope="module")
def converter() -> Iterator[Converter]:
    kept = Kept()
    yield kept
    Converter.close(kept)


Read = Callable[..., "list[Record | Reject]"]


@pytest.fixture
def convert(read: Read, converter: Converter) -> Read:
    def convert_file(name: str, content: bytes | str) -> list[Record | Reject]:
        return read(name, content, converter=converter)

    return convert_file


def parts(record: Record | Reject, *facts: str) -> list[Any]:
    """The pieces of the text that the layout names, with their facts."""
    assert isinstance(record, Record), record
    return [
        (row["kind"], record.text[row["start_char"] : row["end_char"]], *(row[f] for f in facts))
        for row in record.layout
    ]


def test_pdf(convert: Read) -> None:
    (record,) = convert("a.pdf", pdf([["The bridge opened", "in 2021."], ["Karl left."]]))
    assert isinstance(record, Record)
    assert (record.id, record.text) == ("a", "The bridge opened in 2021.\n\nKarl left.")
    assert record.meta == {"title": "The bridge", "authors": ["Ada"], "pages": 2}
    assert parts(record, "page") == [
        ("page", "The bridge opened in 2021.", 1),
        ("page", "Karl left.", 2),
        ("paragraph", "The bridge opened in 2021.", 1),
        ("paragraph", "Karl left.", 2),
    ]
    left, bottom, right, top = record.layout[2]["bbox"]
    assert 70 < left < 75 < right < 300 < 700 < bottom < top < 735


def test_five_hundred_pages(convert: Read) -> None:
    (record,) = convert("long.pdf", pdf([[f"This is page {n}."] for n in range(1, 501)]))
    pages = [part for part in parts(record, "page") if part[0] == "page"]
    assert pages == [("page", f"This is page {n}.", n) for n in range(1, 501)]


def test_word(convert: Read) -> None:
    (record,) = convert(
        "a.docx",
        docx(
            ("Heading1", "The bridge"),
            ("", "Ada cut the ribbon."),
            ("Heading2", "Costs"),
            ("", "It was 3 million."),
            table=[["City", "People"], ["Oslo | N", "700,000"]],
        ),
    )
    assert isinstance(record, Record)
    assert record.meta == {"headings": ["The bridge", "Costs"]}
    assert parts(record, "section") == [
        ("heading", "The bridge", "The bridge"),
        ("paragraph", "Ada cut the ribbon.", "The bridge"),
        ("heading", "Costs", "The bridge / Costs"),
        ("paragraph", "It was 3 million.", "The bridge / Costs"),
        (
            "table",
            "| City | People |\n| --- | --- |\n| Oslo \\| N | 700,000 |",
            "The bridge / Costs",
        ),
    ]
    assert [row["level"] for row in record.layout] == [2, None, 3, None, None]


def test_powerpoint(convert: Read) -> None:
    (record,) = convert("a.pptx", pptx(("Bridge", "Ada cut it."), ("Costs", "3 million.")))
    assert parts(record, "page") == [
        ("page", "Bridge\n\nAda cut it.", 1),
        ("page", "Costs\n\n3 million.", 2),
        ("heading", "Bridge", 1),
        ("paragraph", "Ada cut it.", 1),
        ("heading", "Costs", 2),
        ("paragraph", "3 million.", 2),
    ]


def test_html_without_scripts_and_markup(convert: Read) -> None:
    page = """<html><head><title>T</title><script>var secret = 1;</script><style>p{}</style></head>
        <body><h1>The bridge</h1><p>Ada <b>cut</b> the <i>red</i> ribbon &amp; left
        <a href="http://x.y/(a)">for <b>home</b></a>; 2 * 3 * 4, a_b_c, <code>x</code>
        <img src="a.png" alt="a picture"></p><script>alert("secret")</script>
        <ul><li>one</li><li>two</li></ul></body></html>"""
    (record,) = convert("a.html", page)
    assert parts(record) == [
        ("heading", "The bridge"),
        (
            "paragraph",
            "Ada cut the red ribbon & left for home; 2 * 3 * 4, a_b_c, x",
        ),
        ("list_item", "- one"),
        ("list_item", "- two"),
    ]
    assert isinstance(record, Record)
    assert record.meta == {"title": "T", "headings": ["The bridge"]}


def test_markdown(convert: Read) -> None:
    (record,) = convert("a.md", "# The bridge\n\nAda *cut* it.\n\n```\nx = 1\n```\n")
    assert parts(record) == [
        ("heading", "The bridge"),
        ("paragraph", "Ada cut it."),
        ("code", "x = 1"),
    ]


OLE = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(2000)


@pytest.mark.parametrize(
    ("name", "content", "kind", "message"),
    [
        (
            "scan.pdf",
            pdf([[], []]),
            "document_scanned",
            "scan.pdf has 2 pages and no text: it is a scan, or drawn. Have its text recognized "
            "by --ocr, or beforehand, such as by `ocrmypdf`.",
        ),
        (
            "locked.pdf",
            pdf([["x"]], password=True),
            "document_locked",
            "locked.pdf is protected by a password, or of an older Office format. Save it without "
            "one, as .docx, .pptx, .xlsx or .pdf.",
        ),
        (
            "broken.pdf",
            pdf([["x"]])[:200],
            "document_broken",
            "broken.pdf cannot be converted: Invalid PDF: PdfiumLibraryInternalError: FormatError. "
            "Check that the file is whole and that its suffix is right.",
        ),
        ("locked.docx", OLE, "document_locked", "locked.docx is protected by a password"),
        (
            "broken.docx",
            b"PK\x03\x04",
            "document_broken",
            "broken.docx cannot be converted: File is",
        ),
        ("other.pptx", zipped({"a": "b"}), "document_empty", "other.pptx has no text: "),
        (
            "empty.html",
            "<script>alert(1)</script>",
            "document_empty",
            "empty.html has no text: nothing is left of it when it is converted. Leave it out.",
        ),
        (
            "bomb.docx",
            zipped({"word/document.xml": bytes(2**26)}),
            "document_too_large",
            "bomb.docx unpacks to 67,108,864 bytes. At most 1,073,741,824 are read, and not where "
            "they pack so well that they are no document. Split it, or take out what is no text.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.count(".") == 1 else "",
)
def test_bad_documents(
    convert: Read, name: str, content: bytes | str, kind: str, message: str
) -> None:
    (reject,) = convert(name, content)
    assert isinstance(reject, Reject)
    assert (reject.kind, reject.line) == (kind, 1)
    assert reject.message.startswith(message)


def test_one_bad_document_costs_no_other(write, converter: Converter) -> None:
    write("in/a.pdf", pdf([["One."]]))
    write("in/b.pdf", b"%PDF-1.4 broken")
    write("in/c.docx", docx(("", "Three.")))
    items = list(read_corpus("in", converter=converter))
    assert [(item.id, isinstance(item, Record)) for item in items] == [
        ("a.pdf", True),
        ("b.pdf", False),
        ("c.docx", True),
    ]


def test_a_file_too_long_to_read(convert: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion_module, "MOST_BYTES", 100)
    (reject,) = convert("a.pdf", pdf([["One."]]))
    assert isinstance(reject, Reject)
    assert reject.kind == "document_too_large"


def slow_worker(tmp_path: Path, body: str) -> list[str]:
    script = tmp_path / "worker.py"
    script.write_text(body, encoding="utf-8")
    return ["-S", str(script)]


def test_a_conversion_that_takes_too_long_or_dies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, place = tmp_path / "a.pdf", Place("a.pdf", 1)
    file.write_bytes(pdf([["One."]]))
    command = slow_worker(tmp_path, "import time\ntime.sleep(60)\n")
    monkeypatch.setattr(conversion_module, "WORKER", command)
    slow = Converter(settings=ConversionSettings(conversion_timeout=0.2))
    with pytest.raises(
        DocumentTooSlow, match=r"^a\.pdf was not converted in 0\.2 seconds, and its"
    ):
        slow.convert(file, place)
    monkeypatch.setattr(conversion_module, "WORKER", slow_worker(tmp_path, "raise SystemExit(9)"))
    dead = Converter()
    with pytest.raises(
        Exception, match=r"ran out of its 6 GiB of memory \(--conversion-memory\), or"
    ):
        dead.convert(file, place)
    # What went wrong is known in this process: the next pass over the corpus costs nothing.
    monkeypatch.setattr(conversion_module, "WORKER", ["-c", "raise AssertionError"])
    with pytest.raises(DocumentTooSlow):
        slow.convert(file, place)


SCAN = Path(__file__).parents[1] / "data" / "scan.pdf"
"""A page of two lines as a picture."""


def test_text_is_recognized_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        recognizing = Converter(tmp_path, ConversionSettings(ocr=True))
    except RecognitionDataMissing:
        pytest.skip("Tesseract's data for English is not on this machine")
    place = Place("scan.pdf", 1)
    answer = recognizing.convert(SCAN, place)
    assert answer["text"] == "The bridge opened in 2021.\n\nAda cut the ribbon."
    recognizing.close()
    assert len(list(tmp_path.glob("*-pdf-eng-*.json"))) == 1
    monkeypatch.setattr(conversion_module, "WORKER", ["-c", "raise AssertionError"])
    assert recognizing.convert(SCAN, place) == answer


def test_what_is_asked_of_the_converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the data itself: what the process is started with, and told to do."""
    (tmp_path / "deu.traineddata").touch()
    monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))
    body = (
        "import json, os, sys\n"
        "request = json.loads(sys.stdin.readline())\n"
        "text = [request.get('recognition'), sys.argv[1], os.environ['TESSDATA_PREFIX']]\n"
        "print(json.dumps({'text': json.dumps(text), 'meta': {}, 'layout': []}), flush=True)\n"
        "sys.stdin.readline()\n"
        "print(json.dumps({'text': '', 'meta': {'pages': 2}, 'layout': []}), flush=True)\n"
    )
    monkeypatch.setattr(conversion_module, "WORKER", slow_worker(tmp_path, body))
    settings = ConversionSettings(ocr=True, ocr_language="deu", conversion_memory=3)
    converter = Converter(settings=settings)
    answer = json.loads(converter.convert(SCAN, Place("scan.pdf", 1))["text"])
    assert answer == ["deu", str(3 * 2**30), str(tmp_path)]
    empty = tmp_path / "empty.pdf"
    empty.write_bytes(pdf([[]]))
    with pytest.raises(DocumentScanned, match="Nothing was recognized in its pictures as 'deu'"):
        converter.convert(empty, Place("empty.pdf", 1))
    converter.close()


def test_data_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deu.traineddata").touch()
    monkeypatch.setenv("TESSDATA_PREFIX", str(tmp_path))
    monkeypatch.setattr(tessdata, "SYSTEM_FOLDERS", ("/nowhere",))
    with pytest.raises(RecognitionDataMissing) as raised:
        Converter(settings=ConversionSettings(ocr=True, ocr_language="deu+xyz"))
    assert str(raised.value) == (
        f"--ocr needs Tesseract's data xyz.traineddata, which is in none of: {tmp_path}, "
        f"{tmp_path / 'tessdata'}, /nowhere. Install it, on Debian or Ubuntu by `apt-get install "
        "tesseract-ocr-xyz`, or name the folder that holds it in the environment variable "
        "TESSDATA_PREFIX."
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ocr_language": "en;rm"}, "--ocr-language is 'en;rm' and must be a language of Tess"),
        ({"ocr_language": "../x"}, "--ocr-language is"),
        ({"conversion_timeout": 0}, "--conversion-timeout is 0 and must be a number of seconds"),
        ({"conversion_timeout": float("nan")}, "--conversion-timeout is nan"),
        ({"conversion_memory": 1}, "--conversion-memory is 1 and must be a number of GiB from 2"),
    ],
)
def test_settings_of_the_conversion_that_are_none(settings: Any, message: str) -> None:
    with pytest.raises(InvalidConversionSetting) as raised:
        ConversionSettings(**settings)
    assert str(raised.value).startswith(message)


def test_nothing_is_converted_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, place = tmp_path / "a.md", Place("a.md", 1)
    file.write_text("# One", encoding="utf-8")
    first = Converter(tmp_path / "texts")
    answer = first.convert(file, place)
    first.close()
    (text,) = (tmp_path / "texts").iterdir()
    assert "-md-" in text.name
    monkeypatch.setattr(conversion_module, "WORKER", ["-c", "raise AssertionError"])
    assert Converter(tmp_path / "texts").convert(file, place) == answer
    file.write_text("# Two", encoding="utf-8")
    with pytest.raises(Exception, match="cannot be converted"):
        Converter(tmp_path / "texts").convert(file, place)


def test_without_the_package(write, monkeypatch: pytest.MonkeyPatch) -> None:
    from nlp_pipeline.corpus import corpus_file

    for module in (corpus_file, conversion_module):
        monkeypatch.setattr(module, "is_converter_installed", lambda *_: False)
    write("in/a.pdf", pdf([["One."]]))
    write("in/b.txt", "Two.")
    message = r"^Reading in/a\.pdf needs a package that is not installed: type `pip install 'kreuzb"
    with pytest.raises(ReaderNotInstalled, match=message):
        list(read_corpus("in/a.pdf"))
    warnings: list[str] = []
    (record,) = read_corpus("in", on_warning=warnings.append)
    assert record.id == "b.txt"
    assert warnings == [
        "Files in 'in' were not read, as a package is not installed: a.pdf. Type `pip install "
        "'kreuzberg>=4.10,<5'`."
    ]
