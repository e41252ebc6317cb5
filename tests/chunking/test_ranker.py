from __future__ import annotations

import spacy
from spacy.language import Language

from nlp_pipeline.chunking import Query, rank, rank_sentences, split

TEXT = (
    "The harbour was calm and the boats lay still. "
    "Ines Falk drew the bridge in one long night. "
    "The council paid for the harbour and for the boats. "
    "Nobody drew anything else that year."
)


def order(nlp: Language, question: str) -> list[int]:
    doc = nlp(TEXT)
    return rank(doc, split(doc, lambda text: len(text.split()), 10), Query.of(nlp(question)))


def test_by_lemma_and_rarity(nlp_en: Language) -> None:
    names = [n for n, p in nlp_en.pipeline if n.startswith("llama")]
    with nlp_en.select_pipes(disable=names):
        assert order(nlp_en, "Who paid?")[0] == 2
        assert order(nlp_en, "Who draws bridges?")[0] == 1
        assert order(nlp_en, "What did Ines Falk do at the harbour?")[0] == 1


def test_without_lemmas_by_the_words_themselves() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    assert order(nlp, "Who drew the bridge?")[:2] == [1, 3]


def test_in_the_texts_order_where_nothing_is_shared() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    assert order(nlp, "What is it about?") == [0, 1, 2, 3]


def test_sentences_by_words_and_rarity_without_those_that_share_nothing() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    sentences = list(nlp(TEXT).sents)

    def best(question: str) -> list[int]:
        return rank_sentences(sentences, Query.of(nlp(question)))

    assert best("Who drew the bridge?") == [1, 3]
    assert best("Who paid for the boats?") == [2, 0]
    assert best("Whose drawing was bridged?") == [1]  # by the beginnings of its words
    assert best("What is it about?") == []


def test_a_sentence_with_what_is_asked_for_comes_first() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    sentences = list(nlp("The mill burned. The mill was built in 1893. The mill is red.").sents)
    assert rank_sentences(sentences, Query.of(nlp("When was the mill built?")))[0] == 1
    assert rank_sentences(sentences, Query.of(nlp("In what year did the mill burn?")))[:2] == [1, 0]
    assert rank_sentences(sentences, Query.of(nlp("What about the mill?"))) == [0, 1, 2]
