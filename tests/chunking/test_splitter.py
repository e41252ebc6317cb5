from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc, Span

from nlp_pipeline.chunking import Chunk, split

TEXT = (
    "Anna Berg left Oslo in May. She took the night train. It was late.\n\n"
    "Omar Haddad met her at noon. They spoke of the harbour and of nothing else."
)


def words(text: str) -> int:
    return len(text.split())


def pieces(doc: Doc, chunks: list[Chunk]) -> list[str]:
    return [doc.text[chunk.start_char : chunk.end_char] for chunk in chunks]


def check(doc: Doc, chunks: list[Chunk], budget: int, count: Any) -> None:
    """What holds of every split: order, the budget, places, and that nothing is lost."""
    covered = [char.isspace() for char in doc.text]
    for number, chunk in enumerate(chunks):
        text = doc.text[chunk.start_char : chunk.end_char]
        assert chunk.chunk_id == number
        assert text == text.strip() != ""
        assert chunk.n_model_tokens == count(text)
        assert chunk.n_model_tokens <= budget or len(text) == 1
        covered[chunk.start_char : chunk.end_char] = [True] * len(text)
        touched = [t.i for t in doc if t.idx < chunk.end_char and t.idx + len(t) > chunk.start_char]
        assert (chunk.start_token, chunk.end_token) == (touched[0], touched[-1] + 1)
    assert all(covered)
    for before, after in pairwise(chunks):
        assert before.start_char < after.start_char
        assert before.end_char < after.end_char
        assert (after.start_char < before.end_char) == (after.overlap > 0)


@pytest.fixture(scope="module")
def english() -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    return nlp


def test_whole_sentences_up_to_the_budget(english: Language) -> None:
    doc = english(TEXT)
    chunks = split(doc, words, 14)
    assert pieces(doc, chunks) == [
        "Anna Berg left Oslo in May. She took the night train. It was late.",
        "Omar Haddad met her at noon.",
        "They spoke of the harbour and of nothing else.",
    ]
    assert [(c.start_sentence, c.end_sentence) for c in chunks] == [(0, 3), (3, 4), (4, 5)]
    assert {c.ends for c in chunks} == {"sentence"}
    check(doc, chunks, 14, words)


def test_a_text_that_fits_is_one_chunk(english: Language) -> None:
    doc = english(TEXT)
    (chunk,) = split(doc, words, 1000, overlap=3)
    assert (chunk.start_char, chunk.end_char, chunk.overlap) == (0, len(TEXT), 0)


def test_overlap_is_of_whole_sentences(english: Language) -> None:
    doc = english(TEXT)
    chunks = split(doc, words, 14, overlap=1)
    assert [c.overlap for c in chunks] == [0, 1, 0], "six and nine words are over the budget"
    assert pieces(doc, chunks)[1] == "It was late.\n\nOmar Haddad met her at noon."
    check(doc, chunks, 14, words)


def test_no_cut_inside_an_entity_or_a_noun_chunk(nlp_en: Language) -> None:
    """The recognizer may take two sentences for one name: they stay together."""
    doc = nlp_en.make_doc("We met at Yahoo! Inc. in spring. It rained.")
    for token in doc:
        token.is_sent_start = token.text in ("We", "in", "Inc.", "It")
    doc.ents = [Span(doc, 3, 6, label="ORG")]
    assert doc.ents[0].text == "Yahoo! Inc."
    chunks = split(doc, words, 5)
    assert pieces(doc, chunks) == ["We met at Yahoo! Inc.", "in spring. It rained."]


def test_a_long_sentence_is_split_outside_names(english: Language) -> None:
    doc = english("He met Anna Maria Berg and Omar Haddad in Oslo before the end of May.")
    doc.ents = [Span(doc, 2, 5, label="PERSON"), Span(doc, 6, 8, label="PERSON")]
    chunks = split(doc, words, 4, overlap=2)
    assert pieces(doc, chunks) == [
        "He met",
        "Anna Maria Berg and",
        "Omar Haddad in Oslo",
        "before the end of",
        "May.",
    ]
    assert [c.ends for c in chunks] == ["token"] * 4 + ["sentence"]
    assert [c.overlap for c in chunks] == [0] * 5
    inside = split(doc, words, 2)
    assert "Anna Maria" in pieces(doc, inside), "the name itself is longer than the budget"
    assert inside[1].ends == "name"


def test_a_token_longer_than_the_budget(english: Language) -> None:
    doc = english("See " + "x" * 25 + " there.")
    chunks = split(doc, len, 10)
    assert max(len(piece) for piece in pieces(doc, chunks)) <= 10
    assert "character" in {c.ends for c in chunks}
    check(doc, chunks, 10, len)


def test_without_sentences_the_text_is_one() -> None:
    doc = spacy.blank("en")("one two three four five")
    chunks = split(doc, words, 2)
    assert pieces(doc, chunks) == ["one two", "three four", "five"]
    assert [(c.start_sentence, c.end_sentence) for c in chunks] == [(None, None)] * 3


def test_counts_each_sentence_once_and_each_chunk_once(english: Language) -> None:
    doc = english("It rained all day. " * 200)
    counted: list[int] = []

    def count(text: str) -> int:
        counted.append(words(text))
        return counted[-1]

    chunks = split(doc, count, 100, overlap=1)
    assert len(counted) <= 200 + 2 * len(chunks)


def test_a_count_that_is_more_than_its_sum(english: Language) -> None:
    """Tokens of two sentences together may be more than those of each."""
    doc = english("One two. " * 30)
    check(doc, split(doc, lambda t: words(t) ** 2 // 2, 20), 20, lambda t: words(t) ** 2 // 2)


@pytest.fixture(scope="module")
def languages() -> dict[str, Language]:
    """Chinese and Japanese character by character: neither needs a segmenter here."""
    plain = {"nlp": {"tokenizer": {"@tokenizers": "nlp_pipeline_tests.characters"}}}

    @spacy.registry.tokenizers("nlp_pipeline_tests.characters")
    def make() -> Any:
        return lambda nlp: lambda text: Doc(nlp.vocab, list(text), [False] * len(text))

    made = {"en": spacy.blank("en"), "fr": spacy.blank("fr"), "zh": spacy.blank("zh")}
    made["ja"] = spacy.blank("ja", config=plain)
    for nlp in made.values():
        nlp.add_pipe("sentencizer")
    return made


LETTERS = {
    "en": "ab N. !?\n🙂é",
    "fr": "éà «».\u00a0!\n’b",
    "zh": "港口。建于年！？，\n 🙂2",
    "ja": "橋は。年に！？、\n がカ\u3099",
}


@pytest.mark.parametrize("language", LETTERS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_every_split_of_every_text(
    languages: dict[str, Language], language: str, data: st.DataObject
) -> None:
    """Offsets count code points, whatever the script; nothing but white space is left out."""
    text = data.draw(st.text(alphabet=LETTERS[language], max_size=120))
    budget, overlap = data.draw(st.integers(2, 40)), data.draw(st.integers(0, 3))
    doc = languages[language](text)
    assert doc.text == text

    def count(piece: str) -> int:
        return (len(piece.encode()) + 2) // 3

    check(doc, split(doc, count, budget, overlap=overlap), budget, count)
