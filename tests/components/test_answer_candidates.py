"""Evidence first, and the candidates that are ranked: with a model's words told beforehand."""

from __future__ import annotations

from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span

from nlp_pipeline.chunking import Passage, Query
from nlp_pipeline.components.answer_candidates import rank_candidates
from nlp_pipeline.components.answer_features import (
    DEFAULT_WEIGHTS,
    FEATURE_NAMES,
    DocFeatures,
    Mention,
    checked_weights,
)
from nlp_pipeline.errors.config import InvalidSetting
from nlp_pipeline.generation.interface import Completion

ECHO = {"@llama_generators": "nlp_pipeline.echo.v1"}
TEXT = "Ines Falk drew the bridge in 1893. The mayor, Ole Brandt, paid 40 crowns. It rained."


@pytest.fixture(scope="module")
def nlp() -> Language:
    blank = spacy.blank("en")
    blank.add_pipe("sentencizer")
    return blank


@pytest.fixture
def doc(nlp: Language) -> Doc:
    doc = nlp(TEXT)
    people = [Span(doc, 0, 2, "PERSON"), Span(doc, 11, 13, "PERSON"), Span(doc, 6, 7, "DATE")]
    doc.ents = people
    return doc


def best(nlp: Language, doc: Doc, question: str, *mentions: Mention) -> str:
    ranked = rank_candidates(
        DocFeatures(doc),
        mentions,
        Passage.whole(doc),
        query=Query.of(nlp(question)),
        weights=DEFAULT_WEIGHTS,
    )
    return ranked[0].span.text if ranked else ""


def test_an_entity_that_no_hypothesis_says_can_be_the_answer(nlp: Language, doc: Doc) -> None:
    falk = Mention(1, 2, -2.0)
    assert best(nlp, doc, "Who drew the bridge?", falk) == "Ines Falk"
    assert best(nlp, doc, "When was the bridge drawn?", Mention(3, 5, -2.0)) == "1893"
    assert best(nlp, doc, "Who paid?", Mention(11, 12, -2.0)) == "Ole Brandt"


def test_without_a_hypothesis_there_is_no_answer(nlp: Language, doc: Doc) -> None:
    assert best(nlp, doc, "Who drew the bridge?") == ""


def test_the_features(nlp: Language, doc: Doc) -> None:
    mentions = [Mention(0, 2, -1.0), Mention(0, 1, -3.0), Mention(13, 16, None)]
    rows = DocFeatures(doc).rows(mentions, Query.of(nlp("Who drew the bridge?")))
    assert [tuple(sorted(row)) for row in rows] == [tuple(sorted(FEATURE_NAMES))] * 3
    whole, half, other = rows
    assert (whole["logprob"], half["logprob"], other["logprob"]) == (-1.0, -3.0, -3.0)
    assert whole["sentence_overlap"] == whole["near_overlap"] == 1.0
    assert other["sentence_overlap"] == 0.0
    assert (whole["kind_fit"], half["kind_fit"], other["kind_fit"]) == (1.0, 1.0, -1.0)
    assert (whole["is_entity"], half["is_entity"]) == (1.0, 0.0)
    assert whole["in_question"] == 0.0
    assert whole["votes"] > half["votes"] > other["votes"] == 0.0
    assert (whole["is_hypothesis"], other["is_hypothesis"]) == (1.0, 0.0)


def test_weights_that_cannot_be() -> None:
    setting = "candidate_weights"
    assert checked_weights("qa", setting, {"votes": 2}, FEATURE_NAMES)["votes"] == 2
    for weights in ({"vote": 1.0}, {"votes": "much"}, {"votes": True}, [1.0]):
        with pytest.raises(InvalidSetting, match=r"candidate_weights is .* numbers by logprob"):
            checked_weights("qa", setting, weights, FEATURE_NAMES)


def extractive(nlp_name: str = "en", **config: Any) -> Language:
    nlp = spacy.blank(nlp_name)
    nlp.add_pipe("sentencizer")
    settings = {"generator": ECHO, "mode": "auto", "questions": ["Who paid the mayor?"]}
    nlp.add_pipe("llama_qa", config={**settings, **config})
    return nlp


def qa_pipe(nlp: Language) -> Any:
    """The component, whose methods spaCy's types do not know."""
    return nlp.get_pipe("llama_qa")


class TestEvidence:
    def doc(self, nlp: Language) -> Doc:
        return nlp.get_pipe("sentencizer")(nlp.make_doc(TEXT))

    def pieces(self, **config: Any) -> list[str]:
        nlp = extractive(**config)
        return [ask.piece for ask in qa_pipe(nlp).asks(self.doc(nlp))]

    def test_the_sentence_that_shares_most_is_asked_about(self) -> None:
        assert self.pieces() == ["@1", "@1"]
        nlp = extractive()
        (first, _) = qa_pipe(nlp).asks(self.doc(nlp))
        assert "It rained" not in first.chat.messages[-1].content
        assert "The mayor, Ole Brandt, paid 40 crowns." in first.chat.messages[-1].content

    def test_all_or_more_sentences(self) -> None:
        assert self.pieces(evidence_sentences="all") == ["", ""]
        assert self.pieces(evidence_sentences=2) == ["@1", "@1"]  # no other shares a word
        assert self.pieces(evidence_sentences=3) == ["", ""]  # that is the whole document

    def test_where_no_sentence_shares_a_word_the_whole_is_asked(self) -> None:
        assert self.pieces(questions=["What is this about?"]) == ["", ""]

    def test_questions_with_one_evidence_come_together(self) -> None:
        questions = ["Who paid?", "Who drew it?", "What did the mayor do?"]
        assert self.pieces(questions=questions) == ["@1"] * 4 + ["@0"] * 2

    def test_the_rest_is_asked_where_the_evidence_holds_no_answer(self) -> None:
        nlp = extractive()
        pipe, doc = qa_pipe(nlp), self.doc(nlp)
        none = Completion("", "not in the document", (), (), "stop", 0)
        done = {ask.key: none for ask in pipe.asks(doc)}
        later = pipe.follow_ups(doc, done)
        assert [ask.piece for ask in later] == ["", ""]
        done |= {ask.key: none for ask in later}
        assert pipe.follow_ups(doc, done) == []
        (answer,) = pipe.predict(doc, done).answers
        assert (answer["status"], answer["asked_sentences"]) == ("no_answer", [1])

    @pytest.mark.parametrize("value", [0, -1, True, "some", 1.5])
    def test_a_number_that_cannot_be(self, value: Any) -> None:
        with pytest.raises((InvalidSetting, ValueError), match="evidence_sentences"):
            extractive(evidence_sentences=value)


class TestModes:
    def test_auto_is_extractive_where_constraints_are_obeyed(self) -> None:
        assert qa_pipe(extractive()).extractive is not None

    def test_auto_is_free_for_a_server(self) -> None:
        server = {"@llama_generators": "nlp_pipeline.server.v1", "base_url": "http://localhost:1"}
        pipe = qa_pipe(extractive(generator=server))
        assert (pipe.extractive, pipe.params.num_beams) == (None, 1)

    def test_a_model_that_cannot_search_is_asked_for_one_beam(self) -> None:
        for num_beams, beams in ((None, 1), (3, 3)):
            nlp = extractive(num_beams=num_beams)
            pipe = qa_pipe(nlp)
            pipe.generator.max_num_beams = 1
            nlp(TEXT)
            assert pipe.params.num_beams == beams


def test_questions_of_the_pipeline_are_only_for_docs_without_their_own() -> None:
    nlp = extractive(fallback_questions=True)
    doc = nlp.make_doc(TEXT)
    assert [a["question"] for a in nlp(doc.copy())._.answers] == ["Who paid the mayor?"]
    doc._.questions = ["Who drew it?"]
    assert [a["question"] for a in nlp(doc)._.answers] == ["Who drew it?"]


def test_an_answer_of_another_kind_sends_the_question_on() -> None:
    nlp = extractive(questions=["Who felt the rain?"])
    ruler: Any = nlp.add_pipe("entity_ruler", before="llama_qa")
    ruler.add_patterns([{"label": "PERSON", "pattern": "Ole Brandt"}])
    pipe = qa_pipe(nlp)
    (answer,) = nlp("Ole Brandt was at sea. He was wet. The rain was cold.")._.answers
    # The echo says the first token of each passage: "The" in the evidence, then "Ole".
    assert (answer["answer"], answer["asked_sentences"]) == ("Ole Brandt", [2])
    pipe.questions[0]["text"] = "What about the rain?"
    (answer,) = nlp("Ole Brandt was at sea. He was wet. The rain was cold.")._.answers
    assert (answer["asked_sentences"], answer["start_char"] >= 35) == ([2], True)


def test_the_candidates_are_a_table_on_request() -> None:
    from nlp_pipeline.tables import to_frames

    settings: dict[str, Any] = {"answerable_threshold": 0.0, "no_answer_margin": 1000.0}
    nlp = extractive(keep_candidates=True, **settings)
    doc = nlp(TEXT)
    frames = to_frames([doc, extractive(**settings)(TEXT)])
    candidates, answers = frames["answer_candidates"], frames["answers"]
    assert len(candidates) == len(doc._.answer_candidates) >= 1
    assert set(FEATURE_NAMES) < set(candidates.columns)
    assert candidates["rank"].tolist() == list(range(len(candidates)))
    assert candidates["score"].is_monotonic_decreasing
    best = candidates.iloc[0]
    assert best[["question_id", "component", "text", "start_char", "end_token", "score"]].tolist()
    assert best["text"] == answers["answer"][0] == TEXT[best["start_char"] : best["end_char"]]
    assert best["score"] == answers["candidate_score"][0]
