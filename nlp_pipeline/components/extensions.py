"""What the package keeps on a Doc: plain JSON values, so that they survive `Doc.to_bytes`."""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import Any

from spacy.tokens import Doc

from nlp_pipeline.components.answer_list import Answers

EXTENSIONS: dict[str, Any] = {
    # From the record:
    "record_id": None,  # str: the document's id in every table
    "meta": {},  # dict: the record's meta
    "questions": [],  # list of {"id", "text"}: asked of this document alone
    # From the components:
    "answers": [],  # list of dicts, one per question; the keys are those of `new_answer`
    "answer_candidates": [],  # list of dicts: what the answers were chosen from, where it is kept
    "summary": None,  # str: the text of the last summarizer's summary
    "summary_details": None,  # dict: its status, tokens and log-probabilities
    "summaries": [],  # list of such dicts, one per summarizer
    "extraction": None,  # dict: the object of the last extractor
    "extractions": [],  # list of dicts, one per extractor
    "classifications": [],  # list of dicts, one per classifier
    "generations": [],  # list of dicts, one per `llama_prompt`
    "chunks": [],  # list of dicts, one per chunk of a document too long for its prompts
    "errors": [],  # list of dicts, one per failure; the keys are those of `new_error`
}


def register_extensions() -> None:
    """Registers the Doc extensions, once; extensions of the same name that are there stay."""
    for name, default in EXTENSIONS.items():
        register_extension(name, default)


def register_extension(name: str, default: Any = None) -> None:
    """Registers a Doc extension for a plain JSON value, unless there is one of that name.

    A `DocBin` gives lists back as tuples. What is read is what was written: lists, and answers
    that show themselves in a notebook.

    Args:
        name: Of `doc._.NAME`.
        default: The value of a Doc to which nothing was written; each gets its own.
    """
    if not Doc.has_extension(name):
        getter, setter = partial(_read, name, default), partial(_write, name)
        Doc.set_extension(name, getter=getter, setter=setter)


def _key(name: str) -> Any:
    """Where spaCy keeps the value of an extension in `doc.user_data`."""
    return ("._.", name, None, None)


def _read(name: str, default: Any, doc: Doc) -> Any:
    key = _key(name)
    value = doc.user_data.get(key)
    if value is None and key not in doc.user_data:
        value = copy(default)
        if isinstance(value, list | dict):  # it may be appended to
            doc.user_data[key] = value
    plain = _with_lists(value)
    if name == "answers" and type(plain) is list:
        plain = Answers(plain)
    if plain is not value:
        doc.user_data[key] = plain
    return plain


def _write(name: str, doc: Doc, value: Any) -> None:
    doc.user_data[_key(name)] = value


def _with_lists(value: Any) -> Any:
    """A value with lists for tuples, however deep; the value itself where it has none."""
    if isinstance(value, tuple):
        return [_with_lists(item) for item in value]
    if type(value) is dict:
        items = {key: _with_lists(item) for key, item in value.items()}
        return items if any(items[key] is not value[key] for key in value) else value
    return value


def record_id(doc: Doc) -> str | None:
    """The id that the corpus gave a Doc, if any."""
    value = doc._.record_id if Doc.has_extension("record_id") else None
    return None if value is None else str(value)


def new_error(
    stage: str,
    component: str | None,
    kind: str,
    message: str,
    *,
    retryable: bool,
    question_id: str | None,
) -> dict[str, Any]:
    """A failure as it is kept in `doc._.errors`."""
    return {
        "stage": stage,
        "component": component,
        "question_id": question_id,
        "type": kind,
        "message": message,
        "retryable": retryable,
    }


register_extensions()
