"""Mails and mailboxes."""

from __future__ import annotations

import pytest

from nlp_pipeline.corpus import Record, Reject, read_corpus
from nlp_pipeline.corpus.document_count import count_documents

PLAIN = (
    b"From: Ada <ada@example.org>\r\nTo: Karl <karl@example.org>\r\n"
    b"Subject: =?utf-8?q?The_br=C3=BCcke?=\r\nDate: Tue, 2 Jan 2024 10:00:00 +0100\r\n"
    b"Message-ID: <1@example.org>\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n"
    b"It opened in M\xe4rz.\r\n\r\nAda\r\n"
)
HTML = (
    b"From: ada@example.org\nSubject: Page\nContent-Type: text/html; charset=utf-8\n\n"
    b"<p>It <b>opened</b>.</p><script>alert(1)</script>\n"
)
MIXED = (
    b"From: ada@example.org\nSubject: Both\nMIME-Version: 1.0\n"
    b'Content-Type: multipart/mixed; boundary="x"\n\n'
    b'--x\nContent-Type: multipart/alternative; boundary="y"\n\n'
    b"--y\nContent-Type: text/html\n\n<p>No.</p>\n"
    b"--y\nContent-Type: text/plain\n\nYes.\n--y--\n"
    b'--x\nContent-Type: application/pdf\nContent-Disposition: attachment; filename="a.pdf"\n\n'
    b"PDF\n--x--\n"
)


def test_a_mail_is_a_document(read) -> None:
    (record,) = read("letter.eml", PLAIN)
    assert isinstance(record, Record)
    assert (record.id, record.text) == ("letter", "It opened in März.\n\nAda")
    assert record.meta == {
        "subject": "The brücke",
        "from": "Ada <ada@example.org>",
        "to": "Karl <karl@example.org>",
        "date": "2024-01-02T10:00:00+01:00",
        "message_id": "<1@example.org>",
    }


def test_the_plain_text_is_taken_where_there_is_one(read) -> None:
    (record,) = read("both.eml", MIXED)
    assert isinstance(record, Record)
    assert record.text == "Yes."
    assert record.meta["attachments"] == ["a.pdf"]


def test_of_html_the_text(read) -> None:
    pytest.importorskip("kreuzberg")
    (record,) = read("page.eml", HTML)
    assert record.text == "It opened."


def test_of_html_without_the_package(read, monkeypatch) -> None:
    from nlp_pipeline.corpus.documents import conversion

    monkeypatch.setattr(conversion, "is_converter_installed", lambda *_: False)
    (reject,) = read("page.eml", HTML)
    assert reject.message == (
        "page.eml is a mail in HTML alone, and the package that converts it is not installed. Type "
        "`pip install 'kreuzberg>=4.10,<5'`."
    )


def test_a_mailbox_has_a_document_a_message(read) -> None:
    start = b"From ada@example.org Tue Jan  2 10:00:00 2024\n"
    unknown = b"Content-Type: text/plain; charset=no-such\n\nT\xe4xt.\n"
    box = b"".join(start + mail + b"\n" for mail in (PLAIN, unknown, b"Subject: x\n\n", MIXED))
    first, second, third, last = read("box.mbox", box)
    assert [item.id for item in (first, last)] == ["box:1", "box:4"]
    assert [item.line for item in (first, second, third, last)] == [1, 2, 3, 4]
    assert isinstance(second, Reject)
    assert second.message.startswith("box.mbox:2 cannot be read: LookupError: unknown encoding")
    assert isinstance(third, Reject)
    assert third.kind == "empty_text"
    assert last.text == "Yes."
    assert count_documents("box.mbox") == 4


@pytest.mark.parametrize(
    ("head", "body", "text"),
    [
        ("", "Text ä.".encode(), "Text ä."),
        ("Content-Type: text/plain", "Text ä.".encode(), "Text ä."),
        ("Content-Type: text/plain; charset=us-ascii", "Text ä.".encode(), "Text ä."),
        ("Content-Type: text/plain; charset=no-such", "Text ä.".encode(), "Text ä."),
        ("Content-Type: text/plain; charset=utf-8", b"Text \xe4.", "Text ä."),
        ("Content-Type: text/plain; charset=iso-8859-2", b"\xb1", "ą"),
        ("Content-Type: text/plain; charset=gb2312", "朱镕基".encode("gbk"), "朱镕基"),
        ("Content-Type: text/plain; charset=iso-8859-1", b"\x93T\x94", "“T”"),
    ],
)
def test_encodings_that_are_unsaid_or_wrong(write, head: str, body: bytes, text: str) -> None:
    name = write("a.eml", f"Subject: x\n{head}".strip().encode() + b"\n\n" + body)
    warnings: list[str] = []
    (record,) = read_corpus(name, on_warning=warnings.append)
    assert isinstance(record, Record)
    assert record.text == text
    is_guess = body == b"Text \xe4."
    assert warnings == is_guess * [
        "a.eml:1 is not in the encoding 'utf-8' that it names; it is read as Windows-1252. Said "
        "once; there may be more."
    ]


def test_html_where_the_plain_text_is_blank(read) -> None:
    pytest.importorskip("kreuzberg")
    data = MIXED.replace(b"Yes.", b" ")
    (record,) = read("blank.eml", data)
    assert record.text == "No."


def test_attachments_are_named_however_deep_they_lie(read) -> None:
    inner = (
        b"--x\nContent-Type: message/rfc822\n\nSubject: Inner\nMIME-Version: 1.0\n"
        b'Content-Type: multipart/mixed; boundary="z"\n\n--z\n\nInner text.\n--z\n'
        b"Content-Type: application/pdf\n"
        b'Content-Disposition: attachment; filename="=?utf-8?q?M=C3=A4rz.pdf?="\n\nx\n--z--\n'
        b"--x--\n"
    )
    (record,) = read("nested.eml", MIXED.replace(b"--x--\n", inner))
    assert isinstance(record, Record)
    assert record.text == "Yes."
    assert record.meta["attachments"] == ["a.pdf", "Inner", "März.pdf"]


def test_what_is_no_mail(read) -> None:
    (reject,) = read("empty.eml", b"")
    assert reject.kind == "empty_text"
