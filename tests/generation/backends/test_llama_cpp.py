"""llama.cpp itself, on the tiny Llama as a GGUF file: pieces, given texts, whole pipes.

pip install xllamacpp && pytest tests/generation/backends/test_llama_cpp.py
"""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import spacy

from nlp_pipeline.errors.generation import CheckpointUnreadable
from nlp_pipeline.errors.meta import PackageMissing
from nlp_pipeline.generation.backends.inprocess import LlamaGenerator, LlamaSettings
from nlp_pipeline.generation.backends.llama_cpp import (
    BACKEND,
    LlamaCppGenerator,
    LlamaCppSettings,
)
from nlp_pipeline.generation.chat import Chat, Message
from nlp_pipeline.generation.constraints.constraint import Constraint
from nlp_pipeline.generation.constraints.forced import Forced
from nlp_pipeline.generation.constraints.spans import DocumentSpans
from nlp_pipeline.generation.interface import (
    Completion,
    GenerationRequest,
    Generator,
    SamplingParams,
    generate,
)

DOCUMENT = "In Oslo, Omar Haddad found a data server and called Delta Motors."
CHAT = Chat(
    (Message("user", f"Document:\n{DOCUMENT}\n\nQuestion: Who called Delta Motors?"),), "Answer:"
)


@pytest.fixture(scope="module")
def packed(gguf: Path) -> Iterator[LlamaCppGenerator]:
    pytest.importorskip("xllamacpp")
    generator = LlamaCppGenerator(LlamaCppSettings(str(gguf), max_batch_size=2, threads=1))
    yield generator
    generator.close()


def ask(generator: Generator, constraint: Constraint | None, **params: Any) -> Completion:
    request = GenerationRequest("r", CHAT, SamplingParams(**params), constraint=constraint)
    (done,) = generate(generator, [request])
    assert done.error is None, done.error
    return done


def pieces(text: str) -> DocumentSpans:
    doc = spacy.blank("en")(text)
    starts = frozenset(token.idx for token in doc)
    return DocumentSpans(text, starts, frozenset(token.idx + len(token) for token in doc))


@pytest.fixture(scope="module")
def exact(tiny_llama: str) -> Iterator[LlamaGenerator]:
    """The same weights in process."""
    generator = LlamaGenerator(LlamaSettings(tiny_llama, device="cpu", dtype="float32"))
    yield generator
    generator.close()


def test_it_answers_with_a_piece_and_its_own_scores(
    packed: LlamaCppGenerator, exact: LlamaGenerator
) -> None:
    spans = pieces(DOCUMENT)
    done = ask(packed, spans, max_new_tokens=8, num_hypotheses=24)
    assert spans.occurrences(done.text), done.text
    given = ask(exact, Forced(done.text), max_new_tokens=64)
    assert sum(done.logprobs) == pytest.approx(sum(given.logprobs), abs=0.05)


@pytest.mark.parametrize("text", [" Omar Haddad", " sport", " zzz", "Omar\nHaddad [found"])
def test_a_given_text_has_the_score_that_the_exact_model_gives(
    packed: LlamaCppGenerator, exact: LlamaGenerator, text: str
) -> None:
    theirs = ask(packed, Forced(text), max_new_tokens=32)
    ours = ask(exact, Forced(text), max_new_tokens=32)
    assert theirs.token_ids == ours.token_ids
    assert theirs.logprobs == pytest.approx(ours.logprobs, abs=0.05)
    assert theirs.stop_logprob == pytest.approx(ours.stop_logprob, abs=0.05)


@pytest.mark.parametrize("text", [" São Paulo", " „Straße“", " 東京", " 😀"])
def test_a_given_text_whose_tokens_are_parts_of_characters(
    packed: LlamaCppGenerator, text: str
) -> None:
    done = ask(packed, Forced(text), max_new_tokens=32)
    assert (done.text, done.finish_reason) == (text, "stop")
    assert 0 < len(done.logprobs) < len(text.encode()), "llama.cpp leaves parts out"


def test_pipes_over_it(packed: LlamaCppGenerator) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    block = {
        "@llama_generators": BACKEND,
        "model": packed.settings.model,
        "max_batch_size": 2,
        "threads": 1,
    }
    questions = ["Who called Delta Motors?"]
    nlp.add_pipe("llama_qa", config={"mode": "auto", "questions": questions, "generator": block})
    nlp.add_pipe("llama_classifier", config={"labels": ["work", "sport"], "generator": block})
    docs = list(nlp.pipe([DOCUMENT, "The work in Cairo will take 12 hours. It begins on Monday."]))
    for doc in docs:
        (answer,) = doc._.answers
        assert answer["status"] in ("ok", "no_answer"), answer["error"]
        assert answer["answerable"] is not None
        assert answer["answer"] is None or answer["answer"] in doc.text
        assert sum(doc.cats.values()) == pytest.approx(1.0)


def test_forms_and_summaries_over_it(packed: LlamaCppGenerator) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    block = {
        "@llama_generators": BACKEND,
        "model": packed.settings.model,
        "max_batch_size": 2,
        "threads": 1,
    }
    who = {"type": ["string", "null"], "maxLength": 30}
    places = {"type": "array", "items": {"type": "string", "maxLength": 20}, "maxItems": 2}
    form = {
        "type": "object",
        "properties": {"who": who, "where": places, "n": {"type": "integer"}},
        "required": ["who", "where", "n"],
    }
    form = {"schema": form, "substrings": ["who", "where"], "generator": block}
    nlp.add_pipe("llama_extractor", config=form)
    nlp.add_pipe(
        "llama_summarizer", config={"mode": "extractive", "max_sentences": 1, "generator": block}
    )
    texts = [
        f"{DOCUMENT} It rained all day in the old town. Nobody there had an umbrella left.",
        '„Straße“ (São Paulo) costs $3.50 [sic]* and more^2.\nA "quoted" word stands there.',
    ]
    for doc in nlp.pipe(texts):
        (row,) = doc._.extractions
        assert row["status"] in ("ok", "no_answer"), row["error"]
        spelled = doc.text.replace("\n", " ")
        for field in row["fields"]:
            text = field["value"] if field["field"] != "/n" else None
            assert text is None or text in spelled
            assert text is None or field["alignment"] in ("exact", "normalized")
        assert doc._.summary in doc.text
        assert doc._.summary_details["mean_logprob"] is not None
        assert doc._.errors == []


def test_it_says_what_it_is_and_travels_without_its_model(packed: LlamaCppGenerator) -> None:
    info = packed.info
    assert (info.backend, info.model) == (BACKEND, packed.settings.model)
    assert info.max_seq_len == 4096
    assert len(info.details["digest"]) == 64
    assert set(info.details) == {"digest", "xllamacpp"}, "no port, which is another every time"
    assert isinstance(packed, Generator)
    assert copy.deepcopy(packed) is packed
    assert pickle.loads(pickle.dumps(packed)).settings == packed.settings
    assert packed.count_tokens("Who pays?") > 2


def test_a_model_of_another_kind_is_refused(tiny_llama: str, tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    with pytest.raises(CheckpointUnreadable, match="runs GGUF files only"):
        LlamaCppGenerator(LlamaCppSettings(tiny_llama)).session()
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(CheckpointUnreadable, match=r"broken\.gguf holds no model"):
        LlamaCppGenerator(LlamaCppSettings(str(broken))).session()


def test_what_to_install(gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(PackageMissing, match=r"pip install 'xllamacpp"):
        LlamaCppGenerator(LlamaCppSettings(str(gguf), max_seq_len=77)).session()
