"""Offsets by property: what stands between start and end is the token, the sentence, the entity."""

from __future__ import annotations

import pandas as pd
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_pipeline.tables import to_frames

PIECES = (
    *("Ada Lovelace", "met", "Charles Babbage", "in", "London", "on 3 May 1843", ".", ". ", "?! "),
    *(" ", "  ", "\n", "\r\n", "\t", "\u2028", "\u0085", "\u00a0", "\u200b", "\ufeff", "\x00"),
    *("東京都に行った。", "北京", "서울", "مرحبا", "नमस्ते", "e\u0301", "n\u0303o", "ﬁ", "İ", "ß"),
    *("😀", "👩‍👩‍👧", "🇫🇷", "👍🏽", "𝒳", "don't", "U.S.", "$5,000", "http://a.b/c?d=e", "—", "“x”"),
)
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), min_size=1, max_size=14).map(
    "".join
)
TEXTS = TEXTS.filter(bool)


@pytest.fixture(scope="module")
def nlp_zh():
    """A tokenizer of characters: no spaces between words."""
    nlp = spacy.blank("zh")
    nlp.add_pipe("sentencizer")
    return nlp


def check(doc, text: str) -> None:
    frames = to_frames([doc])
    tokens, sentences, entities = frames["tokens"], frames["sentences"], frames["entities"]
    for table in (tokens, sentences, entities):
        for row in table.to_dict("records"):
            assert text[row["start_char"] : row["end_char"]] == row["text"]
    for table in (sentences, entities):
        for row in table.to_dict("records"):
            inside = tokens[
                (tokens.token_id >= row["start_token"]) & (tokens.token_id < row["end_token"])
            ]
            assert set(inside.sentence_id) == {row["sentence_id"]}
            assert inside.start_char.min() == row["start_char"]
            assert inside.end_char.max() == row["end_char"]
    assert "".join(tokens.text + tokens.whitespace) == text
    assert list(tokens.token_id) == list(range(len(tokens)))
    assert list(sentences.sentence_id) == list(range(len(sentences)))
    assert list(entities.entity_id) == list(range(len(entities)))
    assert list(sentences.start_token) == [0, *sentences.end_token[:-1]]
    assert sentences.end_token.iloc[-1] == len(tokens)
    check_heads(tokens)


def check_heads(tokens: pd.DataFrame) -> None:
    heads = tokens["head"].dropna()
    assert heads.isin(tokens.token_id).all()
    same = tokens.set_index("token_id").sentence_id
    assert list(same.loc[heads]) == list(same.loc[heads.index])


@settings(max_examples=80, deadline=None, derandomize=True)
@given(TEXTS)
def test_the_english_pipeline(nlp_en, text: str) -> None:
    with nlp_en.select_pipes(disable=["llama_qa", "llama_summarizer"]):
        check(nlp_en(text), text)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(TEXTS)
def test_a_tokenizer_of_characters(nlp_zh, text: str) -> None:
    check(nlp_zh(text), text)
