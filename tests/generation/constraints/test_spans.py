from __future__ import annotations

import random

import pytest
import spacy

from nlp_pipeline.errors.generation import NoSpanPossible
from nlp_pipeline.generation.constraints.bound_spans import BoundSpans
from nlp_pipeline.generation.constraints.spans import DocumentSpans, spelled
from nlp_pipeline.generation.constraints.vocabulary import Vocabulary
from nlp_pipeline.generation.prompt_encoder import PromptEncoder

NONE = "not in the document"
TEXTS = {
    "en": 'He said: "don\'t (Ada) go"\nin 1963, 12% of\n\nit’s $7.4 million.  Ok.\n',
    "fr": "L’été à l'école : « Zoé » n’a que 12 ans.",
    "zh": "日本語 text😀と中文混合。",
    "ja": "👩‍👩‍👧 ok",
}


@pytest.fixture(scope="module")
def vocabulary(encoder: PromptEncoder) -> Vocabulary:
    return Vocabulary(encoder, frozenset({2, 5}))


def spans_of(text: str, language: str = "xx", no_answer: str = "") -> DocumentSpans:
    tokens = [token for token in spacy.blank(language)(text) if not token.is_space]
    starts = {token.idx for token in tokens}
    return DocumentSpans(text, starts, {t.idx + len(t) for t in tokens}, no_answer)


def completions(bound: BoundSpans, longest: int) -> set[tuple[int, ...]]:
    """All that may be generated in so many tokens, without the stop."""
    found: set[tuple[int, ...]] = set()
    line: list[tuple[int, ...]] = [()]
    while line:
        ids = line.pop()
        for token in bound.allowed(ids):
            if token in bound.stop_token_ids:
                found.add(ids)
            elif len(ids) < longest:
                line.append((*ids, token))
    return found


@pytest.mark.parametrize("language", ["en", "fr", "zh"])
def test_exactly_the_pieces_between_tokens_can_be_generated(
    language: str, vocabulary: Vocabulary, encoder: PromptEncoder
) -> None:
    text = TEXTS[language]
    constraint = spans_of(text, language, NONE)
    doc = spacy.blank(language)(text)
    pieces = {
        spelled(text[first.idx : last.idx + len(last)])
        for first in doc
        for last in doc[first.i : first.i + 3]
        if not first.is_space and not last.is_space
    }
    said = {encoder.decode(ids) for ids in completions(constraint.bind(vocabulary), 11)}
    short = {piece for piece in pieces if len(encoder.encode_text(" " + piece)) < 10}
    assert short <= {answer.removeprefix(" ") for answer in said}
    for answer in said - {" " + NONE}:
        assert answer.startswith(" ")
        places = constraint.occurrences(answer)
        assert places
        for start, end in places:
            assert spelled(text[start:end]) == answer[1:]
            assert doc.char_span(start, end) is not None


def test_no_piece_goes_over_a_break(vocabulary: Vocabulary, encoder: PromptEncoder) -> None:
    text = "Ada left at noon. Bob came."
    free = spans_of(text, "en")
    broken = DocumentSpans(text, free.starts, free.ends, "", breaks=(17,))
    said = {encoder.decode(ids) for ids in completions(broken.bind(vocabulary), 9)}
    assert {" noon.", " Bob", " Bob came.", " Ada left"} <= said
    assert not any("noon. B" in answer for answer in said)
    assert any("noon. B" in encoder.decode(i) for i in completions(free.bind(vocabulary), 9))
    assert all(answer.strip() in text[:17] or answer.strip() in text[18:] for answer in said)
    assert broken.occurrences("noon. Bob") == []
    assert broken.occurrences("Bob came") == [(18, 26)]


@pytest.mark.parametrize("seed", range(40))
def test_a_random_walk_over_a_random_text_says_a_piece_of_it(
    seed: int, vocabulary: Vocabulary, encoder: PromptEncoder
) -> None:
    rng = random.Random(seed)
    letters = [
        "a",
        "the ",
        "12",
        " ",
        "\n",
        "é",
        "中文",
        "😀",
        "👩‍👧",
        ".",
        "’s",
        "<|im_end|>",
        "\u00a0",
    ]
    text = "x" + "".join(rng.choice(letters) for _ in range(rng.randrange(1, 40)))
    constraint = spans_of(text)
    bound = constraint.bind(vocabulary)
    for _ in range(10):
        ids: list[int] = []
        while (token := rng.choice(bound.allowed(ids))) not in bound.stop_token_ids:
            ids.append(token)
        assert constraint.occurrences(encoder.decode(ids))
        assert bound.keep(ids) == len(ids)
        cut = ids[: rng.randrange(len(ids) + 1)]
        kept = cut[: bound.keep(cut)]
        assert not kept or constraint.occurrences(encoder.decode(kept))


def test_the_answer_does_not_depend_on_what_was_asked_before(vocabulary: Vocabulary) -> None:
    constraint = spans_of(TEXTS["en"], "en", NONE)
    used = constraint.bind(vocabulary)
    for ids in completions(used, 5):
        assert constraint.bind(vocabulary).allowed(ids) == used.allowed(ids)


def test_a_lone_space_comes_only_where_the_tokenizer_has_one(
    vocabulary: Vocabulary, encoder: PromptEncoder
) -> None:
    (space,) = encoder.encode_text(" ")
    lone = encoder.encode_text(" 9")[0] == space
    assert (space in spans_of("in 93 ways").bind(vocabulary).allowed([])) == lone
    assert space not in spans_of("in our ways").bind(vocabulary).allowed([])
    bound = spans_of("(93)").bind(vocabulary)
    if space in bound.allowed([]):  # nothing has been said yet: the end of "(" is no end
        assert not bound.stop_token_ids & set(bound.allowed([space]))


def test_after_what_is_not_allowed_only_a_stop_is(vocabulary: Vocabulary) -> None:
    bound = spans_of("one two").bind(vocabulary)
    assert set(bound.allowed([7, 7])) == bound.stop_token_ids == {2, 5, *_newlines(vocabulary)}
    assert bound.keep([7, 7]) == 0


@pytest.mark.parametrize("text", ["", "   ", "\n \t"])
def test_without_a_piece_only_the_reply_can_be_given(
    text: str, vocabulary: Vocabulary, encoder: PromptEncoder
) -> None:
    with pytest.raises(NoSpanPossible, match="the document holds white space alone, "):
        spans_of(text).bind(vocabulary)
    constraint = spans_of(text, no_answer=NONE)
    assert constraint.example == NONE
    (ids,) = completions(constraint.bind(vocabulary), 30)
    assert encoder.decode(ids) == " " + NONE
    assert constraint.occurrences(NONE) == []


def test_a_document_of_one_token_has_one_answer(
    vocabulary: Vocabulary, encoder: PromptEncoder
) -> None:
    constraint = spans_of("Ada")
    assert {encoder.decode(i) for i in completions(constraint.bind(vocabulary), 9)} == {" Ada"}
    assert constraint.occurrences(" Ada") == [(0, 3)]
    assert constraint.example == "Ada"


def test_every_mention_is_found(vocabulary: Vocabulary) -> None:
    assert spans_of("a b a\nb").occurrences(" a b") == [(0, 3), (4, 7)]
    assert spans_of("cat concat").occurrences("cat") == [(0, 3)]


def _newlines(vocabulary: Vocabulary) -> list[int]:
    return [i for i, data in enumerate(vocabulary.token_bytes) if data == b"\n"]
