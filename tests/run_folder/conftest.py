"""Docs whose values are hard to write down, as tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import spacy
from spacy.tokens import Doc, Span

from nlp_pipeline.components.extensions import new_error

TEXTS = (
    'He said "no", then:\r\nleft.\n\n',
    "",
    " ",
    "NULL",
    "nan",
    "=1+1",
    "a,b;c\td\\n",
    "👩‍👩‍👧 e\u0301 東京 \u2028 \x00 \x1b[31m",
    "'",
    '""',
    "\ufeffmark",
    "1.0",
    "true",
)


@pytest.fixture(scope="session")
def docs() -> list[Doc]:
    """Texts, ids, vectors, answers and errors of every kind."""
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.vocab.reset_vectors(width=2)
    nlp.vocab.set_vector("He", np.array([0.1, -3e-38], dtype="float32"))
    made = [nlp(text) for text in TEXTS]
    for number, doc in enumerate(made):
        doc._.record_id = f"{number},{doc.text[:5]}"
        doc._.meta = {"text": doc.text, "list": [1, None, "é"]}
        doc.cats = {doc.text: 1 / 3}
        doc._.answers = [_answer(doc, status) for status in ("ok", "no_answer", "error")]
        if doc.text:
            doc.ents = [Span(doc, 0, 1, "X")]
            doc.spans["answers"] = [Span(doc, 0, len(doc), "ANSWER", span_id="q1")]
    made[3]._.errors = [
        new_error("generate", "llama_qa", "x", TEXTS[0], retryable=True, question_id=None)
    ]
    return made


def _answer(doc: Doc, status: str) -> dict[str, object]:
    ok = status == "ok"
    return {
        "component": "llama_qa",
        "question_id": status,
        "question": "Who?\nWhat?",
        "answer": doc.text if ok else None,
        "status": status,
        "start_token": 0 if ok and len(doc) else None,
        "end_token": 1 if ok and len(doc) else None,
        "mean_logprob": -1 / 3 if ok else None,
        "unsupported_entities": ["a,b", 'c"d', ""] if ok else [],
        "unsupported_numbers": None,
    }


@pytest.fixture
def same():
    """Checks frames for equality, types and all."""

    def check(left: dict[str, pd.DataFrame], right: dict[str, pd.DataFrame]) -> None:
        assert list(left) == list(right)
        for name in left:
            pd.testing.assert_frame_equal(left[name], right[name], check_exact=True, obj=name)

    return check
