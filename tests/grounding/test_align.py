from __future__ import annotations

import time

import pytest
import spacy
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc

from nlp_pipeline.grounding.align import ground

NLP = spacy.blank("en")
PIECES = st.one_of(
    st.sampled_from(["東京", "日", "🚢", "👩\u200d🔬", "e\u0301", "é", "\u20d7", "ﬁ", "İ", "ß"]),
    st.sampled_from(["\r\n", "\n", " ", "  ", "\u3000", ".", "’", '"']),
    st.sampled_from(["Anna", "anna", "12", "(", "[a-z]+", "\\d", "$", "^", "*"]),
)
texts = st.lists(PIECES, max_size=14).map("".join)


def grounded(text: str, answer: str) -> tuple[str, str | None]:
    """The kind of grounding and the piece of the text."""
    found = ground(NLP.make_doc(text), answer)
    if found.start_char is None:
        return found.alignment, None
    return found.alignment, text[found.start_char : found.end_char]


@settings(max_examples=150, deadline=None)
@given(before=texts, answer=texts.map(str.strip).filter(bool), after=texts)
@example("a\r\n", "東京", "\u0301")
@example("", "İ", "")
def test_what_stands_in_the_text_is_found_there(before: str, answer: str, after: str) -> None:
    text = before + answer + after
    doc = NLP.make_doc(text)
    assert doc.text == text
    found = ground(doc, answer)
    assert found.alignment == "exact"
    assert text[found.start_char : found.end_char] == answer
    assert found.start_char is not None
    assert found.end_char is not None
    tokens = doc[found.start_token : found.end_token]
    assert tokens.start_char <= found.start_char < tokens[0].idx + len(tokens[0])
    assert tokens[-1].idx < found.end_char <= tokens.end_char


@settings(max_examples=150, deadline=None)
@given(text=texts, answer=texts)
def test_whatever_is_asked_the_offsets_are_in_the_text(text: str, answer: str) -> None:
    found = ground(NLP.make_doc(text), answer)
    assert (found.alignment == "none") == (found.start_char is None) == (found.end_char is None)
    if found.start_char is not None and found.end_char is not None:
        assert 0 <= found.start_char < found.end_char <= len(text)
        assert (found.alignment == "exact") == (text[found.start_char : found.end_char] == answer)


@settings(max_examples=80, deadline=None)
@given(words=st.lists(st.sampled_from(["Anna", "東京", "naïve", "it’s", "12", "🚢"]), min_size=1))
def test_case_spaces_and_quotes_are_set_aside(words: list[str]) -> None:
    text = "x \r\n" + "\n ".join(words) + " y"
    answer = '"' + "  ".join(words).upper().replace("’", "'") + '."'
    assume(answer not in text)
    assert grounded(text, answer) == ("normalized", "\n ".join(words))


@pytest.mark.parametrize(
    ("text", "answer", "kind", "piece"),
    [
        ("It cost $3.50 (net).", "$3.50", "exact", "$3.50"),
        ("a.c abc", "a.c", "exact", "a.c"),
        ("abc a.c", "a.c", "exact", "a.c"),
        ("C++ and (a|b)*", "(a|b)*", "exact", "(a|b)*"),
        ("back\\slash", "\\s", "exact", "\\s"),
        ("The Board met.", "the board", "normalized", "The Board"),
        ("said “no  way”", '"No way"', "normalized", "no  way"),
        ("in Oslo.", "Oslo.", "exact", "Oslo."),
        ("in Oslo today", "Oslo.", "normalized", "Oslo"),
        ("Straße", "STRASSE", "normalized", "Straße"),
        ("10–12 May", "10-12 May", "normalized", "10–12 May"),
        ("Oslo", "Bergen", "none", None),
        ("Oslo", "", "none", None),
        ("Oslo", " . ", "none", None),
        ("", "Oslo", "none", None),
    ],
)
def test_kinds(text: str, answer: str, kind: str, piece: str | None) -> None:
    assert grounded(text, answer) == (kind, piece)


@pytest.mark.issue(2)
@pytest.mark.parametrize(
    ("text", "answer", "start"),
    [
        ("Anna met Anna.", "Anna", 0),
        ("Annabel met Anna and Anna.", "Anna", 12),
        ("Annabel", "Anna", 0),
        ("ba a a", "a a", 3),  # an earlier mention that begins inside a word overlaps it
        ("annabel met ANNA", "Anna", 12),
        ("ANNA met Anna", "Anna", 9),  # as it is written comes before another spelling
    ],
)
def test_of_several_mentions_the_first_at_token_boundaries(
    text: str, answer: str, start: int
) -> None:
    assert ground(NLP.make_doc(text), answer).start_char == start


def test_tokens_that_an_answer_touches() -> None:
    doc = NLP.make_doc("Annabel Lee left.")
    found = ground(doc, "bel Le")
    assert (found.start_token, found.end_token) == (0, 2)
    found = ground(doc, "Lee left")
    assert (found.start_token, found.end_token) == (1, 3)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["ab"] * 50_000, "ab " * 5_000 + "x"),
        (["a" * 100_000], "a" * 5_000 + "b"),
        (["aA" * 50_000], "a" * 5_000 + "b"),
        (["a", "’"] * 50_000, "a ' " * 2_000 + "x"),
        (["x", "e", "y"] * 20_000, "ey"),
        (["a" + " " * 100_000 + "c"], "a b"),
        (["no"], "b" * 1_000_000),
    ],
)
def test_long_texts_and_answers_take_no_time(words: list[str], answer: str) -> None:
    doc = Doc(NLP.vocab, words=words)
    start = time.process_time()
    ground(doc, answer)
    assert time.process_time() - start < 2
