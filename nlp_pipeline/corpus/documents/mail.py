"""E-mail: a file `.eml` is a document, and so is each message of a mailbox `.mbox`."""

from __future__ import annotations

import codecs
import mailbox
from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from typing import Any

from nlp_pipeline.corpus.corpus_file import CorpusFile
from nlp_pipeline.corpus.documents.conversion import Converter
from nlp_pipeline.corpus.documents.page_letters import wider_encoding
from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.read_options import NumberedFields, ReadOptions
from nlp_pipeline.errors.documents import MailOfHtml
from nlp_pipeline.errors.escapes import described
from nlp_pipeline.errors.records import BadRecord, LineTooLong, Place, UnreadableRecord

MOST_BYTES = 2**28
"""A message is no longer than this, with all that is attached to it."""
_HEADERS = ("subject", "from", "to", "cc", "date", "message-id")


def read_eml(file: CorpusFile, options: ReadOptions, notes: Notes) -> Iterator[NumberedFields]:
    """The text of a message; who wrote it, to whom, when and of what are its meta."""
    place, path = Place(file.source, 1), file.local_path()
    size = path.stat().st_size
    if size > MOST_BYTES:
        yield 1, LineTooLong(place, MOST_BYTES, size)
    else:
        yield 1, _fields(path.read_bytes(), place, options, notes)


def read_mbox(file: CorpusFile, options: ReadOptions, notes: Notes) -> Iterator[NumberedFields]:
    """The messages of a mailbox, in its order; "line" is the number of the message."""
    box = mailbox.mbox(file.local_path(), create=False)
    try:
        for number, key in enumerate(box.iterkeys(), 1):
            yield number, _fields(box.get_bytes(key), Place(file.source, number), options, notes)
    finally:
        box.close()


def count_messages(file: CorpusFile) -> Iterator[int]:
    """How many messages a mailbox has."""
    box = mailbox.mbox(file.local_path(), create=False)
    try:
        yield len(box)
    finally:
        box.close()


def _fields(
    data: bytes, place: Place, options: ReadOptions, notes: Notes
) -> dict[str, Any] | BadRecord:
    try:
        message = message_from_bytes(data, policy=policy.default)
        text = _body(message, place, options, notes)
        return {"meta": _meta(message), options.text_key: text}
    except BadRecord as error:
        return error
    except Exception as error:  # the parser is lenient, and what it hands out lazily is not
        return UnreadableRecord(place, described(error))


def _body(message: EmailMessage, place: Place, options: ReadOptions, notes: Notes) -> str:
    """The text that a reader of the mail sees; of a mail in HTML alone that of the page.

    Raises:
        BadRecord: It is HTML, and nothing is installed that converts it, or cannot be converted.
        LookupError: Its encoding is unknown.
    """
    plain, page = (message.get_body(preferencelist=(kind,)) for kind in ("plain", "html"))
    if plain is not None and (text := _letters(plain, place, notes).replace("\r\n", "\n").strip()):
        return text
    if page is None or not _bytes_of(page).strip():
        return ""
    converter = options.converter or Converter()
    if extra := converter.missing_extra:
        raise MailOfHtml(place, extra)
    try:
        return converter.convert_html(
            _letters(page, place, notes).encode("utf-8", "replace"), place
        )
    finally:
        if options.converter is None:
            converter.close()


def _bytes_of(part: Message) -> bytes:
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _letters(part: Message, place: Place, notes: Notes) -> str:
    """The text of a part, whose encoding is often another than what it says, or unsaid.

    Raises:
        LookupError: Its encoding is unknown, and it is not UTF-8.
    """
    data, named = _bytes_of(part), part.get_content_charset("utf-8")
    wider = wider_encoding(named)
    for encoding in ("utf-8", named) if named == "us-ascii" else (wider, "utf-8"):
        with suppress(LookupError, UnicodeError):
            return data.decode(encoding)
    codecs.lookup(named)
    notes.once("wrong_encoding", place, named)
    return data.decode("cp1252", "replace")


def _meta(message: EmailMessage) -> dict[str, Any]:
    """The headers that say what the message is; the names of what is attached."""
    meta: dict[str, Any] = {}
    for name in _HEADERS:
        value = message.get(name)
        if value is not None:
            moment = getattr(value, "datetime", None)
            meta[name.replace("-", "_")] = moment.isoformat() if moment else str(value)
    names = [_name(part) for part in message.walk() if _is_attached(part)]
    return meta | ({"attachments": names} if names else {})


def _is_attached(part: Message) -> bool:
    """Whether a part is a file or a mail that came with the message, however deep it lies."""
    is_file = part.get_content_disposition() == "attachment" or part.get_filename() is not None
    return is_file or part.get_content_type() == "message/rfc822"


def _name(part: Message) -> str:
    """The name of a file; of a mail its subject."""
    inner = part.get_payload(0) if part.is_multipart() else None
    subject = inner.get("subject") if isinstance(inner, Message) else None
    return str(part.get_filename() or subject or "")
