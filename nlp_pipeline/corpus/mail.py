"""E-mail: a file `.eml` is a document, and so is each message of a mailbox `.mbox`."""

from __future__ import annotations

import mailbox
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from nlp_pipeline.corpus.conversion import Converter, is_converter_installed
from nlp_pipeline.corpus.corpus_file import CorpusFile
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
        yield 1, _fields(path.read_bytes(), place, options)


def read_mbox(file: CorpusFile, options: ReadOptions, notes: Notes) -> Iterator[NumberedFields]:
    """The messages of a mailbox, in its order; "line" is the number of the message."""
    box = mailbox.mbox(file.local_path(), create=False)
    try:
        for number, key in enumerate(box.iterkeys(), 1):
            yield number, _fields(box.get_bytes(key), Place(file.source, number), options)
    finally:
        box.close()


def count_messages(file: CorpusFile) -> Iterator[int]:
    """How many messages a mailbox has."""
    box = mailbox.mbox(file.local_path(), create=False)
    try:
        yield len(box)
    finally:
        box.close()


def _fields(data: bytes, place: Place, options: ReadOptions) -> dict[str, Any] | BadRecord:
    try:
        message = message_from_bytes(data, policy=policy.default)
        text = _body(message, place, options)
        return {"meta": _meta(message), options.text_key: text}
    except BadRecord as error:
        return error
    except Exception as error:  # the parser is lenient, and what it hands out lazily is not
        return UnreadableRecord(place, described(error))


def _body(message: EmailMessage, place: Place, options: ReadOptions) -> str:
    """The text that a reader of the mail sees; of a mail in HTML alone that of the page.

    Raises:
        BadRecord: It is HTML, and nothing is installed that converts it, or cannot be converted.
    """
    part = message.get_body(preferencelist=("plain", "html"))
    if part is None:
        return ""
    content = part.get_content()
    text = content if isinstance(content, str) else ""
    if part.get_content_subtype() != "html" or not text.strip():
        return text.replace("\r\n", "\n").strip()
    if not is_converter_installed():
        raise MailOfHtml(place)
    converter = options.converter or Converter()
    try:
        return converter.convert_html(text.encode("utf-8"), place)
    finally:
        if options.converter is None:
            converter.close()


def _meta(message: EmailMessage) -> dict[str, Any]:
    """The headers that say what the message is; the names of what is attached."""
    meta: dict[str, Any] = {}
    for name in _HEADERS:
        value = message.get(name)
        if value is not None:
            moment = getattr(value, "datetime", None)
            meta[name.replace("-", "_")] = moment.isoformat() if moment else str(value)
    names = [part.get_filename() for part in message.iter_attachments()]
    return meta | ({"attachments": [name or "" for name in names]} if names else {})
