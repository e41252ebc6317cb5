"""Documents longer than a prompt: which pieces are asked, whose answer is taken, what is said."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc

from nlp_pipeline import to_frames
from nlp_pipeline.chunking import Query, rank, split
from nlp_pipeline.components.long_documents import LongDocuments
from nlp_pipeline.errors.config import InvalidSetting
from nlp_pipeline.errors.generation import GenerationFailed
from nlp_pipeline.generation.backends.echo import EchoGenerator
from nlp_pipeline.generation.interface import Completion, GenerationRequest, GeneratorInfo
from nlp_pipeline.grounding.answer_reader import Reader

TEXT = (
    "The harbour of Senn is old and its wall is broken in two places today. "
    "Ines Falk drew the new bridge in one long night of work at her desk. "
    "The council paid four million crowns for the bridge and for the boats too. "
    "Nobody swam in the cold harbour that year and the boats lay on the sand. "
)
NONE = "not in the document"

Reply = Callable[[str], tuple[str, float]]


class Teller(EchoGenerator):
    """Says what a function makes of a prompt's text, with a log-probability; counts words.

    Attributes:
        asked: The texts that were asked about, in order.
    """

    def __init__(self, reply: Reply, max_seq_len: int | None = None) -> None:
        super().__init__()
        self._reply, self._limit = reply, max_seq_len
        self.asked: list[str] = []

    @property
    def info(self) -> GeneratorInfo:
        return GeneratorInfo("teller", "teller", self._limit, {})

    def complete(self, request: GenerationRequest, sample: int = 0) -> Completion:
        prompt = request.prompt.messages[-1].content  # type: ignore[union-attr]
        text = prompt.partition("Document:\n")[2].rpartition("\n\n")[0]
        self.asked.append(text)
        said, logprob = self._reply(text)
        if said == "FAIL":
            return Completion.failed(request.id, GenerationFailed("as told"))
        done = super().complete(request, sample)
        return replace(done, text=said, logprobs=(logprob,), output_tokens=1)


def qa(teller: Teller, **config: Any) -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    config = {
        "questions": ["Who drew the bridge?"],
        "chunk_tokens": 16,
        "chunks_first": 1,
        **config,
    }
    pipe = nlp.add_pipe("llama_qa", config={"chunk_overlap": 0, **config})
    _give(pipe, teller)
    return nlp


def summarizer(teller: Teller, **config: Any) -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    pipe = nlp.add_pipe("llama_summarizer", config={"chunk_overlap": 0, **config})
    _give(pipe, teller)
    return nlp


def _give(pipe: Any, teller: Teller) -> None:
    """The component as if its config had named this generator."""
    pipe.generator = teller
    pipe.long = LongDocuments(teller, pipe.params.max_new_tokens, pipe.long.settings)
    if hasattr(pipe, "_pieces"):
        pipe._pieces = replace(pipe._pieces, long=pipe.long)


def by_words(**replies: tuple[str, float]) -> Reply:
    """The reply of the first word that a text holds, else that it holds no answer."""

    def reply(text: str) -> tuple[str, float]:
        return next((said for word, said in replies.items() if word in text), (NONE, -1.0))

    return reply


def row(doc: Doc) -> dict[str, Any]:
    (answer,) = doc._.answers
    return {k: answer[k] for k in ("answer", "status", "n_chunks", "asked_chunks", "chunk_id")}


class TestQuestions:
    def test_a_short_document_is_sent_as_it_stands(self) -> None:
        teller = Teller(by_words(Ines=("Ines Falk", -1.0)))
        doc = qa(teller, chunk_tokens=None)(TEXT)
        assert teller.asked == [TEXT]
        assert (row(doc)["n_chunks"], row(doc)["asked_chunks"], doc._.chunks) == (1, None, [])

    def test_the_likeliest_chunk_is_asked_and_no_other(self) -> None:
        teller = Teller(by_words(Ines=("Ines Falk", -1.0)))
        doc = qa(teller)(TEXT)
        assert [text.split()[0] for text in teller.asked] == ["Ines"]
        assert row(doc) == {
            "answer": "Ines Falk",
            "status": "ok",
            "n_chunks": 4,
            "asked_chunks": [1],
            "chunk_id": 1,
        }
        assert [span.text for span in doc.spans["answers"]] == ["Ines Falk"]

    def test_others_only_while_none_has_answered(self) -> None:
        teller = Teller(by_words(Nobody=("Nobody", -1.0)))
        doc = qa(teller)(TEXT)
        assert [text.split()[0] for text in teller.asked] == ["Ines", "The", "The", "Nobody"]
        assert row(doc)["asked_chunks"] == [0, 1, 2, 3]
        assert row(doc)["chunk_id"] == 3

    def test_no_answer_in_any_chunk(self) -> None:
        doc = qa(Teller(by_words()))(TEXT)
        assert (row(doc)["status"], row(doc)["chunk_id"]) == ("no_answer", None)
        assert row(doc)["asked_chunks"] == [0, 1, 2, 3]
        assert doc._.answers[0]["output_tokens"] == 4, "what all of them cost"

    def test_the_best_score_wins(self) -> None:
        replies = by_words(Ines=("Ines", -3.0), council=("The council", -0.5), Nobody=("x", -2.0))
        doc = qa(Teller(replies), chunks_first=4)(TEXT)
        assert (row(doc)["answer"], row(doc)["chunk_id"]) == ("The council", 2)
        assert doc._.answers[0]["sum_logprob"] == -0.5

    def test_an_answer_under_the_threshold_is_none_and_others_are_asked(self) -> None:
        replies = by_words(Ines=("Ines", -3.0), council=("The council", -0.5))
        doc = qa(Teller(replies), no_answer_threshold=-2.5)(TEXT)
        assert (row(doc)["answer"], row(doc)["asked_chunks"]) == ("The council", [1, 2])
        doc = qa(Teller(by_words(Ines=("Ines", -3.0))), no_answer_threshold=-2.5)(TEXT)
        assert (row(doc)["answer"], row(doc)["status"]) == (None, "no_answer")
        assert doc._.answers[0]["sum_logprob"] == -1.0, "that of the best-scored reply"

    def test_a_repeated_mention_is_that_of_the_chunk(self) -> None:
        doc = qa(Teller(by_words(council=("The", -1.0))), questions=["Who paid crowns?"])(TEXT)
        assert doc.spans["answers"][0].start_char == TEXT.index("The council")

    def test_a_failed_chunk_costs_only_itself(self) -> None:
        replies = by_words(Ines=("FAIL", 0.0), council=("The council", -0.5))
        doc = qa(Teller(replies), chunks_first=4)(TEXT)
        assert (row(doc)["status"], row(doc)["answer"]) == ("ok", "The council")
        assert [(e["question_id"], e["type"]) for e in doc._.errors] == [
            ("q1", "generation_failed")
        ]
        doc = qa(Teller(lambda text: ("FAIL", 0.0)))(TEXT)
        assert row(doc)["status"] == "error"

    def test_the_rows_of_the_chunks(self) -> None:
        doc = qa(Teller(by_words()))(TEXT)
        table = to_frames([doc])["chunks"]
        assert list(table["chunk_id"]) == [0, 1, 2, 3]
        starts = [TEXT[place:].split()[0] for place in table["start_char"]]
        assert starts == ["The", "Ines", "The", "Nobody"]
        assert set(table["component"]) == {"llama_qa"}
        assert set(table["ends"]) == {"sentence"}

    def test_a_second_pass_replaces_the_chunks(self) -> None:
        nlp = qa(Teller(by_words()))
        assert len(nlp(nlp(TEXT))._.chunks) == 4

    def test_streams_give_what_single_documents_give(self) -> None:
        texts = [TEXT, "Ines left.", TEXT * 3, "", TEXT]
        nlp = qa(Teller(by_words(Ines=("Ines", -1.0))))
        single = [[row(nlp(text)), nlp(text)._.chunks] for text in texts]
        assert [[row(doc), doc._.chunks] for doc in nlp.pipe(texts)] == single
        assert len(single[2][1]) == 12

    def test_a_question_longer_than_the_context(self) -> None:
        questions = ["Who drew the bridge?", "Why " + "so " * 100 + "?"]
        teller = Teller(by_words(Ines=("Ines", -1.0)), max_seq_len=90)
        doc = qa(teller, questions=questions, chunk_tokens=None)(TEXT * 2)
        first, second = doc._.answers
        assert (first["status"], second["status"]) == ("ok", "error")
        assert second["error"] == (
            "The question with its instructions has 112 tokens and 32 are kept for the answer; of "
            "the 90 that the model's context holds none is left for the text. Shorten the "
            "question or the examples, lower max_new_tokens, or use a model with a longer context."
        )
        assert [error["question_id"] for error in doc._.errors] == ["q2"]

    def test_a_document_over_the_context_is_split_without_being_told(self) -> None:
        teller = Teller(by_words(Ines=("Ines", -1.0)), max_seq_len=90)
        doc = qa(teller, chunk_tokens=None)(TEXT * 2)
        assert row(doc)["n_chunks"] > 1
        assert max(chunk["n_model_tokens"] for chunk in doc._.chunks) <= 90 - 32 - 12

    @pytest.mark.parametrize("text", ["Oslo", "🙂", "?"])
    def test_a_document_of_one_token(self, text: str) -> None:
        doc = qa(Teller(lambda _: (text, -1.0)))(text)
        assert (row(doc)["status"], row(doc)["n_chunks"]) == ("ok", 1)
        assert doc.spans["answers"][0].text == text

    @pytest.mark.parametrize(
        ("name", "value", "least"),
        [("chunk_tokens", 15, 16), ("chunk_overlap", -1, 0), ("chunks_first", 0, 1)],
    )
    def test_settings_out_of_range(self, name: str, value: int, least: int) -> None:
        with pytest.raises(InvalidSetting) as caught:
            qa(Teller(by_words()), **{name: value})
        assert str(caught.value) == (
            f"components.llama_qa.{name} is {value} and must be an integer of at least {least}."
        )

    def test_a_threshold_that_is_no_log_probability(self) -> None:
        with pytest.raises(InvalidSetting, match="must be a number of at most 0, or null"):
            qa(Teller(by_words()), no_answer_threshold=0.5)

    def test_what_decides_can_be_sent_to_another_process(self) -> None:
        pipe: Any = qa(Teller(by_words(), max_seq_len=90)).get_pipe("llama_qa")
        long = LongDocuments(EchoGenerator(), 5, pipe.long.settings)
        assert pickle.loads(pickle.dumps(long)).settings == pipe.long.settings


class TestSummaries:
    def test_map_and_reduce(self) -> None:
        teller = Teller(lambda text: (f"{text.split()[0]} {len(text.split())}.", -1.0))
        doc = summarizer(teller, chunk_tokens=16)(TEXT)
        assert teller.asked[-1] == "The 15.\n\nInes 15.\n\nThe 14.\n\nNobody 15."
        assert doc._.summary == "The 8."
        details = doc._.summary_details
        assert (details["n_chunks"], details["rounds"], details["output_tokens"]) == (4, 1, 5)

    def test_as_many_rounds_as_it_takes(self) -> None:
        """16 chunks, of whose summaries no more than five fit into a prompt."""
        teller = Teller(lambda text: ("one two three four five.", -1.0), max_seq_len=60)
        doc = summarizer(teller, max_new_tokens=20)(TEXT * 8)
        details = doc._.summary_details
        assert details["status"] == "ok"
        assert details["rounds"] > 1
        assert details["output_tokens"] == len(teller.asked) > details["n_chunks"]

    def test_only_one_chunk_has_something_to_say(self) -> None:
        teller = Teller(lambda text: ("The bridge." if "Ines" in text else "", -1.0))
        doc = summarizer(teller, chunk_tokens=16)(TEXT)
        assert doc._.summary == "The bridge."
        assert len(teller.asked) == 4

    def test_a_failed_chunk_fails_the_summary(self) -> None:
        teller = Teller(lambda text: ("FAIL" if "Ines" in text else "x", -1.0))
        doc = summarizer(teller, chunk_tokens=16)(TEXT)
        assert doc._.summary_details["status"] == "error"
        assert [e["question_id"] for e in doc._.errors] == ["summary"]

    def test_summaries_of_which_no_two_fit(self) -> None:
        teller = Teller(lambda text: (" ".join(map(str, range(30))), -1.0), max_seq_len=60)
        doc = summarizer(teller, max_new_tokens=20)(TEXT * 2)
        assert doc._.summary_details["status"] == "error"
        assert "two of them do not fit into the" in doc._.summary_details["error"]

    @pytest.mark.parametrize("text", ["", " \n"])
    def test_a_document_without_a_word(self, text: str) -> None:
        teller = Teller(lambda _: ("x", -1.0))
        doc = summarizer(teller)(text)
        assert (doc._.summary, doc._.summary_details["status"]) == (None, "no_answer")
        assert teller.asked == []


def test_questions_outlive_a_memory_zone() -> None:
    """A run ends a zone now and then; a Doc that was made in it must not be touched again."""
    nlp = qa(Teller(by_words(Ines=("Ines", -1.0))))
    found = []
    for _ in range(3):
        with nlp.memory_zone():
            found.append([row(nlp(TEXT)), nlp(TEXT)._.chunks])
    assert found[0] == found[1] == found[2]


def test_french_chunks_keep_names_whole(fr: Language) -> None:
    text = (
        "Marie Lefèvre dirige la société Ardoises du Val depuis 2011. Elle vit à Saint-Malo. "
        "Le conseil de la ville de Saint-Malo a vendu le vieux moulin à la famille Le Goff. "
    ) * 2
    doc = fr(text)
    chunks = split(doc, lambda piece: len(piece.split()), 8)
    assert doc.ents
    for chunk in chunks:
        for entity in doc.ents:
            inside = entity.start < chunk.end_token < entity.end
            assert not inside or chunk.ends == "name"
    question = Reader(fr, "llama_qa").read(["Qui a vendu le moulin ?"], "fr")[0]
    best = chunks[rank(doc, chunks, Query.of(question))[0]]
    assert "vendu" in doc.text[best.start_char : best.end_char]
