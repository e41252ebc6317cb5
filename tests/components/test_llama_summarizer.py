from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from nlp_pipeline import to_frames
from nlp_pipeline.components.long_documents import LongDocuments
from nlp_pipeline.components.whole_sentences import whole_sentences
from nlp_pipeline.errors.config import InvalidSetting, PromptTemplateInvalid
from nlp_pipeline.generation.backends.echo import EchoGenerator
from nlp_pipeline.generation.interface import (
    Completion,
    FinishReason,
    GenerationRequest,
    GeneratorInfo,
)

ECHO = {"@llama_generators": "nlp_pipeline.echo.v1", "fail_on": "UNSPEAKABLE"}


def build(**config: Any) -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("llama_summarizer", config={"generator": ECHO, **config})
    return nlp


def test_a_summary_and_its_figures() -> None:
    doc = build(max_new_tokens=3)("Anna left Oslo.")
    assert doc._.summary == "in 2 sentences."
    (sentence,) = doc._.summary_details.pop("sentences")
    assert (sentence["text"], sentence["alignment"]) == ("in 2 sentences.", "none")
    assert doc._.summary_details == {
        "component": "llama_summarizer",
        "summary": "in 2 sentences.",
        "status": "ok",
        "support_score": 0.0,
        "unsupported_entities": [],
        "unsupported_numbers": ["2"],
        "n_chunks": 1,
        "rounds": 0,
        "finish_reason": "stop",
        "mean_logprob": 0.0,
        "min_logprob": 0.0,
        "first_token_prob": 1.0,
        "sum_logprob": 0.0,
        "prompt_tokens": 10,
        "reused_tokens": 0,
        "output_tokens": 3,
        "reasoning": None,
        "reasoning_tokens": None,
        "model": "echo",
        "error": None,
        "cut": None,
        "dropped": [],
        "n_tries": 1,
    }
    assert doc._.answers == []


@pytest.mark.parametrize(("sentences", "said"), [(1, "in one sentence."), (5, "in 5 sentences.")])
def test_the_model_is_told_how_long(sentences: int, said: str) -> None:
    assert build(max_sentences=sentences, max_new_tokens=3)("a")._.summary == said


def test_failures_contexts_and_order() -> None:
    nlp, calls = build(), []
    handler: Any = lambda name, pipe, docs, error: calls.append([d.text for d in docs])  # noqa: E731
    nlp.set_error_handler(handler)
    pairs = [("a", 1), ("UNSPEAKABLE", 2), ("c", 3)]
    done = list(nlp.pipe(pairs, as_tuples=True))
    assert [(doc.text, context) for doc, context in done] == pairs
    assert [doc._.summary_details["status"] for doc, _ in done] == ["ok", "error", "ok"]
    assert [doc._.summary is None for doc, _ in done] == [False, True, False]
    assert [len(doc._.errors) for doc, _ in done] == [0, 1, 0]
    assert done[1][0]._.errors[0]["question_id"] == "summary"
    assert calls == [["UNSPEAKABLE"]]


def test_survives_bytes_and_doc_bin() -> None:
    nlp = build()
    for doc in nlp.pipe(["Anna left.", "UNSPEAKABLE"]):
        copy = Doc(nlp.vocab).from_bytes(doc.to_bytes())
        (other,) = DocBin(docs=[doc], store_user_data=True).get_docs(nlp.vocab)
        assert copy._.summary == other._.summary == doc._.summary
        details = json.dumps(doc._.summary_details)  # a DocBin makes tuples of lists
        assert json.dumps(copy._.summary_details) == details
        assert json.dumps(other._.summary_details) == details


@pytest.mark.parametrize("value", [0, -1])
def test_a_length_that_cannot_be(value: int) -> None:
    with pytest.raises(InvalidSetting) as caught:
        build(max_sentences=value)
    assert str(caught.value) == (
        f"components.llama_summarizer.max_sentences is {value!r} and must be an integer of at "
        "least 1."
    )


def test_a_template_of_another_component() -> None:
    with pytest.raises(PromptTemplateInvalid, match="it uses 'question', and there is: max_sent"):
        build(template="qa.v1")


def test_a_blank_summary_is_no_answer() -> None:
    nlp = build()
    pipe: Any = nlp.get_pipe("llama_summarizer")
    blank = Completion("a", " \n", (5,), (-1.0,), "stop", 3)
    result = pipe.predict(nlp.make_doc("a"), {"summary": blank})
    assert (result.details["status"], result.details["summary"]) == ("no_answer", None)


class Writer(EchoGenerator):
    """Writes what it is told; it was cut off where the text ends in `>`."""

    def __init__(self, *texts: str) -> None:
        super().__init__()
        self.texts, self.requests = texts, list[GenerationRequest]()

    def complete(self, request: GenerationRequest, sample: int = 0) -> Completion:
        text = self.texts[min(len(self.requests), len(self.texts) - 1)]
        self.requests.append(request)
        reason: FinishReason = "length" if text.endswith(">") else "stop"
        plain = super().complete(request, sample)
        return replace(plain, text=text.rstrip(">"), finish_reason=reason)


def summarize(writer: Writer, text: str = "Anna left Oslo in 1912.", **config: Any) -> Doc:
    nlp = build(**config)
    pipe: Any = nlp.get_pipe("llama_summarizer")
    pipe.generator = writer
    pipe.long = LongDocuments(writer, pipe.params.max_new_tokens, pipe.long.settings)
    pipe._pieces = replace(pipe._pieces, long=pipe.long)
    return nlp(text)


WHOLE: list[tuple[str, str, str | None]] = [
    ("Anna left. Bob stayed.", "Anna left. Bob stayed.", None),
    ("Anna left. Bob stayed", "Anna left. Bob stayed", None),  # the model's own end
    ("Anna left. Bob st>", "Anna left.", "length"),
    ("Anna left Oslo and>", "", "length"),
    ("Anna left. Bob stayed. Carl wa>", "Anna left. Bob stayed.", "sentences"),
    ("Anna left. Bob stayed. Carl ran.", "Anna left. Bob stayed.", "sentences"),
    ("He paid 2.5 million. It rose by 3.>", "He paid 2.5 million.", "length"),
    ("He met Mr. Haddad. He met Dr.>", "He met Mr. Haddad.", "length"),
    ("It left J. R. Brandt. She met J.>", "It left J. R. Brandt.", "length"),
    ("The U.S. won etc. and left. The U.S.>", "The U.S. won etc. and left.", "length"),
    ('She said "We won." They l>', 'She said "We won."', "length"),
    ("\u201cWhy?\u201d she asked. He l>", "\u201cWhy?\u201d she asked.", "length"),
    ("Two points:\n- Anna left\n- Bob st>", "Two points:\n- Anna left", "length"),
    ("1. Anna left.\n2. Bob stayed.\n3. Ca>", "1. Anna left.\n2. Bob stayed.", "sentences"),
    ("Anna left. Anna left. Anna left. An>", "Anna left.", "repetition"),
    ("Anna left. ANNA LEFT!", "Anna left.", "repetition"),
    ("Anna left. The red and the red and the red and the>", "Anna left.", "repetition"),
    ("No no no no no no no no no.", "", "repetition"),
    ("\u5979\u8d70\u4e86\u3002\u4ed6\u6765>", "\u5979\u8d70\u4e86\u3002", "length"),
]


@pytest.mark.parametrize(("text", "summary", "cut"), WHOLE)
def test_a_summary_never_ends_in_mid_sentence(text: str, summary: str, cut: str | None) -> None:
    doc = summarize(Writer(text))
    details = doc._.summary_details
    assert (doc._.summary or "", details["cut"]) == (summary, cut)
    assert details["status"] == ("ok" if summary else "no_answer")
    assert to_frames([doc])["summaries"]["cut"][0] == cut or cut is None


def test_what_stands_twice_far_apart_is_no_loop() -> None:
    text = "He said that he knew that she knew that it was so. It was the best of the best."
    tokens = spacy.blank("en")(text)
    assert whole_sentences(tokens, is_complete=True, at_most=2) == (text, None)


@pytest.mark.parametrize(("n_sentences", "budget"), [(1, 64), (3, 192)])
def test_the_budget_follows_the_number_of_sentences(n_sentences: int, budget: int) -> None:
    pipe: Any = build(max_sentences=n_sentences).get_pipe("llama_summarizer")
    assert pipe.params.max_new_tokens == budget
    pipe = build(max_sentences=n_sentences, max_new_tokens=7).get_pipe("llama_summarizer")
    assert pipe.params.max_new_tokens == 7


def test_pieces_of_half_sentences_are_not_summarized_again() -> None:
    writer = Writer("Anna left. Bob st>", "Carl ran.", "All left.")
    doc = summarize(writer, "Anna left Oslo in 1912. " * 5, chunk_tokens=16, chunk_overlap=0)
    *_, last = writer.requests
    assert "Document:\nAnna left.\n\nCarl ran." in last.prompt.messages[-1].content  # type: ignore[union-attr]
    assert doc._.summary == "All left."


class TestUnsupported:
    TEXT = "Anna left Oslo in 1912. She wrote letters."

    def test_sentences_are_marked(self) -> None:
        doc = summarize(Writer("Anna left in 1912. She met Haddad in 1950."), self.TEXT)
        details = doc._.summary_details
        assert (details["unsupported_numbers"], details["dropped"]) == (["1950"], [])
        assert doc._.summary == "Anna left in 1912. She met Haddad in 1950."

    def test_sentences_are_dropped_and_named(self) -> None:
        text = "Anna left in 1912. She met Haddad in 1950. She wrote letters."
        doc = summarize(Writer(text), self.TEXT, max_sentences=3, on_unsupported="drop")
        details = doc._.summary_details
        assert doc._.summary == "Anna left in 1912. She wrote letters."
        assert details["dropped"] == ["She met Haddad in 1950."]
        assert (details["unsupported_numbers"], details["unsupported_entities"]) == ([], [])
        assert list(to_frames([doc])["summaries"]["dropped"][0]) == details["dropped"]

    def test_nothing_is_left(self) -> None:
        doc = summarize(Writer("She met Haddad in 1950."), self.TEXT, on_unsupported="drop")
        details = doc._.summary_details
        assert (doc._.summary, details["status"]) == (None, "no_answer")
        assert details["dropped"] == ["She met Haddad in 1950."]

    def test_a_summary_is_written_again_until_it_is_supported(self) -> None:
        writer = Writer("She met Haddad in 1950.", "Anna left in 1912.", "No more.")
        doc = summarize(writer, self.TEXT, on_unsupported="retry", seed=5)
        details = doc._.summary_details
        assert (doc._.summary, details["n_tries"]) == ("Anna left in 1912.", 2)
        first, again = writer.requests
        assert first.prompt == again.prompt
        assert (first.params.temperature, again.params.temperature) == (0.0, 0.7)
        assert again.params.seed == 6

    def test_the_best_of_three_is_taken(self) -> None:
        writer = Writer("In 1950 and 1951.", "In 1950.", "In 1950, 1951, 1952.", "Never.")
        doc = summarize(writer, self.TEXT, on_unsupported="retry")
        details = doc._.summary_details
        assert (doc._.summary, details["n_tries"]) == ("In 1950.", 3)
        assert details["unsupported_numbers"] == ["1950"]

    def test_of_a_document_in_chunks_only_the_last_round_is_written_again(self) -> None:
        writer = Writer("Anna left.", "Oslo.", "In 1950.", "In 1912.")
        doc = summarize(
            writer,
            "Anna left Oslo in 1912. " * 5,
            chunk_tokens=16,
            chunk_overlap=0,
            on_unsupported="retry",
        )
        assert doc._.summary == "In 1912."
        assert writer.requests[-1].prompt == writer.requests[-2].prompt
        assert doc._.summary_details["n_tries"] == 2

    def test_a_way_that_there_is_none_of(self) -> None:
        with pytest.raises(InvalidSetting) as caught:
            build(on_unsupported="hide")
        assert str(caught.value) == (
            "components.llama_summarizer.on_unsupported is 'hide' and must be 'mark', 'drop' or "
            "'retry'."
        )


class Judge(EchoGenerator):
    """Finds a sentence the likelier the more often it says `vital`."""

    def __init__(self, max_seq_len: int | None = None) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.prompts: list[str] = []
        self.max_seq_len = max_seq_len

    @property
    def info(self) -> GeneratorInfo:
        return replace(super().info, max_seq_len=self.max_seq_len)

    def complete(self, request: GenerationRequest, sample: int = 0) -> Completion:
        completion = super().complete(request, sample)
        self.asked.append(completion.text)
        self.prompts.append(request.prompt.messages[-1].content)  # type: ignore[union-attr]
        return replace(completion, logprobs=(completion.text.count("vital") - 5.0,))


def extract(text: str, judge: Judge | None = None, **config: Any) -> Doc:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    config = {"mode": "extractive", "generator": ECHO, "max_sentences": 2, **config}
    pipe: Any = nlp.add_pipe("llama_summarizer", config={"chunk_overlap": 0, **config})
    if judge is not None:
        pipe.generator = judge
        pipe.long = LongDocuments(judge, pipe.params.max_new_tokens, pipe.long.settings)
    return nlp(text)


def sentence(number: int, word: str = "") -> str:
    """A sentence that shares with others no more than its length."""
    return f"The {word or f'w{number}e'} w{number}a w{number}b w{number}c w{number}d. "


class TestExtractive:
    def test_sentences_of_the_document_in_its_order(self) -> None:
        text = " ".join(sentence(n, "vital" if n in (3, 4) else "") for n in range(6))
        doc = extract(text, Judge(), max_sentences=3)
        details = doc._.summary_details
        rows = details["sentences"]
        assert (details["status"], details["unsupported_numbers"], details["rounds"]) == (
            "ok",
            [],
            0,
        )
        assert doc._.summary == " ".join(row["text"] for row in rows)
        places = [(row["start_char"], row["end_char"]) for row in rows]
        assert places == sorted(places)
        assert len(places) == 3
        starts = [span.start for span in doc.sents]
        for row in rows:
            assert row["alignment"] == "exact"
            assert doc.text[row["start_char"] : row["end_char"]] == row["text"]
            assert doc._.summary[row["summary_start"] : row["summary_end"]] == row["text"]
            span = doc[row["start_token"] : row["end_token"]]
            assert (span.text, row["evidence"]) == (
                row["text"],
                [sum(start <= span.start for start in starts) - 1],
            )
        frames = to_frames([doc])
        assert list(frames["summary_sentences"]["start_char"]) == [place[0] for place in places]

    def test_the_likelihood_decides_between_neighbours(self) -> None:
        texts = [sentence(n) for n in range(4)]
        likely = [*texts[:2], sentence(2, "vital vital"), texts[3]]
        assert extract("".join(texts), Judge())._.summary == "".join(texts[:2]).strip()
        chosen = [
            row["text"] for row in extract("".join(likely), Judge())._.summary_details["sentences"]
        ]
        assert likely[2].strip() in chosen

    def test_only_the_first_words_are_asked_and_only_where_there_is_a_choice(self) -> None:
        judge = Judge()
        long_sentence = " ".join(f"x{n}y" for n in range(30)) + ". "
        extract(long_sentence + sentence(1), judge)
        assert judge.asked == []
        extract(long_sentence + "".join(sentence(n) for n in range(1, 20)), judge)
        assert len(judge.asked) == 8
        assert judge.asked[0] == " ".join(f"x{n}y" for n in range(12))

    @pytest.mark.parametrize(
        ("text", "summary"),
        [
            ("By Ann Lee. Anna left the old town at noon.", "Anna left the old town at noon."),
            (
                "Who left the old town then? Anna left it at noon, alone.",
                "Anna left it at noon, alone.",
            ),
            (
                "OSLO, Norway (NTB) -- Anna left the old town at noon.",
                "Anna left the old town at noon.",
            ),
            ("(CNN)Anna left the old town at noon.", "Anna left the old town at noon."),
            ("OSLO \u2014 Anna left the old town at noon.", "Anna left the old town at noon."),
            ("NATO left the old town at noon.", "NATO left the old town at noon."),
            ("Short one. Too.", "Short one."),  # where nothing better is there
        ],
    )
    def test_what_no_summary_begins_with(self, text: str, summary: str) -> None:
        assert extract(text, max_sentences=1)._.summary == summary

    def test_nothing_is_said_twice(self) -> None:
        text = sentence(0) + sentence(0) + sentence(1) + sentence(2)
        assert extract(text)._.summary == (sentence(0) + sentence(1)).strip()

    def test_a_long_document_is_judged_in_chunks(self) -> None:
        texts = [sentence(n) for n in range(12)]
        judge = Judge()
        doc = extract("".join(texts), judge, chunk_tokens=18, max_sentences=3)
        details = doc._.summary_details
        assert details["n_chunks"] == len(doc._.chunks) == 4
        assert len(details["sentences"]) == 3
        for opening, prompt in zip(judge.asked, judge.prompts, strict=True):
            assert opening in prompt
        assert len(set(judge.prompts)) == 4
        assert details["prompt_tokens"] == sum(len(prompt.split()) for prompt in judge.prompts)

    def test_a_prompt_without_room_and_a_failure(self) -> None:
        text = "".join(sentence(n) for n in range(12))
        refused = extract(text, Judge(max_seq_len=30), max_new_tokens=2)
        assert refused._.summary_details["status"] == "error"
        nlp = build(mode="extractive")
        nlp.add_pipe("sentencizer", first=True)
        failed = nlp("UNSPEAKABLE " + text)
        assert (failed._.summary, failed._.summary_details["status"]) == (None, "error")
        assert failed._.errors[0]["question_id"] == "summary"
        assert failed._.summary_details["sentences"] == []

    @pytest.mark.parametrize("scores_texts", [True, False])
    def test_a_server_is_asked_where_it_says_how_likely_a_text_is(
        self, scores_texts: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Server(Judge):
            """Some say it, some do not."""

            def __init__(self) -> None:
                super().__init__()
                self.scores_texts = scores_texts

        server = Server()
        doc = extract("".join(sentence(n) for n in range(12)), server)
        assert doc._.summary == (sentence(0) + sentence(1)).strip()
        assert (doc._.summary_details["status"], doc._.errors) == ("ok", [])
        assert bool(server.asked) is scores_texts
        warning = (
            "[llama_summarizer] the server does not say how likely a given text is: sentences are "
            "chosen by their place and their words alone. llama.cpp does, and vLLM and SGLang do "
            "with the generator's setting tokenizer and with logprobs = true."
        )
        warnings = [record.getMessage() for record in caplog.records]
        assert warnings == ([] if scores_texts else [warning])

    @pytest.mark.parametrize("text", ["", " \n", "..."])
    def test_a_text_without_a_word(self, text: str) -> None:
        doc = extract(text, Judge())
        assert (doc._.summary, doc._.summary_details["status"]) == (None, "no_answer")

    def test_a_mode_that_there_is_none_of(self) -> None:
        with pytest.raises(InvalidSetting) as caught:
            build(mode="abstractive")
        assert str(caught.value) == (
            "components.llama_summarizer.mode is 'abstractive' and must be 'free' or 'extractive'."
        )
