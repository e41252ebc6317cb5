from __future__ import annotations

import pytest
import spacy
from spacy.tokens import Doc

from nlp_pipeline.chunking import Passage

TEXT = " Ada left. It 🙂 rained.\nBob came.  Zoé slept. "


@pytest.fixture(scope="module")
def doc() -> Doc:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    return nlp(TEXT)


@pytest.mark.parametrize(
    ("numbers", "text", "breaks"),
    [
        ([0], "Ada left.", ()),
        ([1, 2], "It 🙂 rained.\nBob came.", ()),
        ([0, 2, 3], "Ada left. Bob came.  Zoé slept.", (9,)),
        ([0, 3], "Ada left. Zoé slept.", (9,)),
    ],
)
def test_sentences_as_one_text(
    doc: Doc, numbers: list[int], text: str, breaks: tuple[int, ...]
) -> None:
    passage = Passage.of_sentences(list(doc.sents), numbers)
    assert (passage.text(doc), passage.breaks) == (text, breaks)
    for number, (start, end) in enumerate(passage.parts):
        first = passage.in_passage(number, start)
        assert text[first : first + end - start] == TEXT[start:end]
        for length in (1, end - start):
            place = passage.in_document(first, first + length)
            assert TEXT[slice(*place)] == text[first : first + length]


def test_all_of_a_document(doc: Doc) -> None:
    passage = Passage.whole(doc)
    assert (passage.text(doc), passage.in_document(1, 4), passage.name) == (TEXT, (1, 4), "")
