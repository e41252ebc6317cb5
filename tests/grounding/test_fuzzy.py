"""Alignment by words: what it finds, and that the fast table equals trying every piece."""

from __future__ import annotations

from functools import cache

import pytest
import spacy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nlp_pipeline.grounding.align import ground
from nlp_pipeline.grounding.fuzzy import MAX_WORDS, align_words
from nlp_pipeline.grounding.text import TextIndex, terms

BLANK = cache(spacy.blank)  # made once, not for every example
NLP = BLANK("en")
LETTERS = st.lists(st.sampled_from("abcd"), max_size=9)


def common(a: list[str], b: list[str]) -> int:
    """Length of the longest common subsequence, by the book."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = (
                table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
            )
    return table[-1][-1]


def slow(text: list[str], answer: list[str]) -> tuple[int, int, int] | None:
    """Margin over the threshold, negative width and negative start of the best piece."""
    best = None
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            equal = common(answer, text[start:end])
            margin = 8 * equal - 3 * (end - start) - 3 * len(answer)
            if margin >= 0:
                found = (margin, start - end, -start)
                best = found if best is None else max(best, found)
    return best


@settings(max_examples=300, deadline=None, derandomize=True)
@given(LETTERS, LETTERS.filter(bool))
@example(list("abab"), list("ab"))
@example(list("aXbaab"), list("aab"))
def test_the_table_equals_trying_every_piece(text: list[str], answer: list[str]) -> None:
    doc, said = spacy.tokens.Doc(NLP.vocab, text), spacy.tokens.Doc(NLP.vocab, answer)
    found, best = align_words(TextIndex(doc), said), slow(text, answer)
    if best is None:
        assert found is None
        return
    assert found is not None
    assert (found.start - found.end, -found.start) == best[1:]
    piece = text[found.start : found.end]
    assert found.score == pytest.approx(2 * common(answer, piece) / (len(answer) + len(piece)))
    assert 0.75 <= found.score <= 1


@pytest.mark.parametrize(
    ("text", "answer", "kind", "piece", "score"),
    [
        (
            "The boats were sold in May.",
            "the boat was sold",
            "normalized",
            "The boats were sold",
            1,
        ),
        ("Oslo, Norway is cold.", "Oslo Norway", "normalized", "Oslo, Norway", 1),
        ("She met Ada B. Marsh today.", "Ada Marsh", "fuzzy", "Ada B. Marsh", 0.8),
        ("He met Ada Marsh today.", "Doctor Ada Marsh", "fuzzy", "Ada Marsh", 0.8),
        ("Núria Bassols left.", "nuria bassols", "normalized", "Núria Bassols", 1),
        ("He met Ada Marsh today.", "Ada Lovelace", "none", None, None),
        ("He met Ada Marsh today.", "Marsh Ada", "none", None, None),
        ("", "Marsh", "none", None, None),
    ],
)
def test_what_is_reworded(en, text, answer, kind, piece, score) -> None:
    found = ground(en(text), answer, read=en(answer))
    assert (found.alignment, found.as_dict()["alignment_score"]) == (kind, score)
    if piece is not None:
        assert text[found.start_char : found.end_char] == piece
        assert en(text)[found.start_token : found.end_token].text == piece


def test_french_inflection(fr) -> None:
    text = "Les bateaux ont été vendus en mai."
    found = ground(fr(text), "le bateau a été vendu", read=fr("le bateau a été vendu"))
    assert found.alignment in ("normalized", "fuzzy")
    assert text[found.start_char : found.end_char] == "Les bateaux ont été vendus"


MENTIONS = "Anna came first. The harbour was closed by Anna in May. Anna slept."


@pytest.mark.issue(5)
@pytest.mark.parametrize(
    ("question", "start"),
    [
        ("Who closed the harbour?", 43),
        ("Who slept?", 56),
        ("Who built the bridge?", 0),  # nothing supports any: the first
        (None, 0),
    ],
)
@pytest.mark.parametrize("answer", ["Anna", "ANNA"])
def test_of_several_mentions_the_one_whose_sentence_supports_the_question(
    en, question, start, answer
) -> None:
    asked = terms(en(question)) if question else None
    assert ground(en(MENTIONS), answer, question=asked).start_char == start


def test_without_sentences_the_first_mention(en) -> None:
    doc = NLP(MENTIONS)
    assert ground(doc, "Anna", question=terms(en("Who closed the harbour?"))).start_char == 0


PIECES = st.sampled_from(
    [
        "東京",
        "日本",
        "🚢",
        "👩\u200d🔬",
        "e\u0301",
        "naïve",
        "ﬁn",
        "İzmir",
        "Straße",
        "\r\n",
        " ",
        "。",
        "x",
    ]
)


@pytest.mark.parametrize("lang", ["en", "zh", "xx"])
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_offsets_of_reworded_answers_are_those_of_tokens(lang: str, data: st.DataObject) -> None:
    nlp = BLANK(lang)
    words = data.draw(st.lists(PIECES, min_size=3, max_size=12))
    text = "".join(words)
    gone = data.draw(st.integers(0, len(words) - 1))
    answer = "".join(words[:gone] + words[gone + 1 :]).strip().upper()
    doc = nlp.make_doc(text)
    found = ground(doc, answer, read=nlp.make_doc(answer))
    if found.alignment == "fuzzy":
        piece = doc[found.start_token : found.end_token]
        assert (piece.start_char, piece.end_char) == (found.start_char, found.end_char)
        assert text[found.start_char : found.end_char] == piece.text
        assert found.alignment_score is not None
        assert 0.75 <= found.alignment_score < 1


def test_an_answer_too_long_to_be_a_quotation() -> None:
    doc = spacy.tokens.Doc(NLP.vocab, ["a", "b"] * 400)
    assert align_words(TextIndex(doc), doc[: MAX_WORDS + 2]) is None
    assert align_words(TextIndex(doc), doc[:MAX_WORDS]) is not None
