"""What the package keeps on a Doc: plain JSON values, so that they survive `Doc.to_bytes`."""

from __future__ import annotations

from typing import Any

from spacy.tokens import Doc

EXTENSIONS: dict[str, Any] = {
    # From the record:
    "record_id": None,  # str: the document's id in every table
    "meta": {},  # dict: the record's meta
    "questions": [],  # list of {"id", "text"}: asked of this document alone
    # From the components:
    "answers": [],  # list of dicts, one per question; the keys are those of `new_answer`
    "summary": None,  # str: the summary's text
    "summary_details": None,  # dict: status, tokens and log-probabilities of the summary
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
        if not Doc.has_extension(name):
            Doc.set_extension(name, default=default)


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
