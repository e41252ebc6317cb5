from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_pipeline.errors.generation import ConstraintImpossible
from nlp_pipeline.errors.meta import PackageMissing
from nlp_pipeline.generation.constraints.constraint import Constraint
from nlp_pipeline.generation.constraints.forced import Forced
from nlp_pipeline.generation.constraints.grammar import Grammar, check_grammar
from nlp_pipeline.generation.constraints.json_grammar import json_grammar
from nlp_pipeline.generation.constraints.vocabulary import Vocabulary
from nlp_pipeline.generation.fallback.executor import BatchExecutor
from nlp_pipeline.generation.interface import Completion, GenerationRequest, SamplingParams
from nlp_pipeline.generation.llama import Llama
from nlp_pipeline.generation.loading.load import LoadedModel
from nlp_pipeline.generation.prompt_encoder import PromptEncoder
from nlp_pipeline.generation.session import SessionPool

NUMBER = 'start: %json {"type": "integer", "minimum": 0, "maximum": 99}'
FORM = {
    "type": "object",
    "properties": {
        "who": {"type": "array", "items": {"type": "string", "maxLength": 12}, "maxItems": 2},
        "n": {"type": "integer", "minimum": 0, "maximum": 9},
        "note": {"type": ["string", "null"], "maxLength": 9},
    },
    "required": ["who", "note"],
}


@pytest.fixture(scope="module")
def vocabulary(tiny: LoadedModel) -> Vocabulary:
    return Vocabulary(PromptEncoder(tiny.tokenizer, tiny.name), tiny.eos_token_ids)


def ends(vocabulary: Vocabulary, source: str, text: str) -> bool:
    """Whether a grammar takes a text, and may end after it."""
    ids = vocabulary.encode(text)
    walk = Grammar(source).bind(vocabulary)
    for place, token in enumerate(ids):
        if not walk.allowed(ids[:place])[token]:
            return False
    return bool(walk.allowed(ids)[min(vocabulary.eos_token_ids)])


@settings(max_examples=40, deadline=None)
@given(number=st.integers(-200, 200))
def test_a_grammar_takes_what_it_describes(vocabulary: Vocabulary, number: int) -> None:
    assert ends(vocabulary, NUMBER, str(number)) is (0 <= number <= 99)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_strings_that_must_stand_in_the_document(vocabulary: Vocabulary, data: Any) -> None:
    words = ["Ada", "said", '"no', '"', "über", "\n", "data"]
    pieces = [piece for word in words for piece in (word, " ")]
    start = data.draw(st.integers(0, len(words)))
    stop = data.draw(st.integers(start, len(words)))
    note = " ".join(words[start:stop]) or None
    value: dict[str, Any] = {"who": ["server"], "note": note}
    if data.draw(st.booleans()):
        value = {"who": value["who"], "n": 3, "note": note}
    source = json_grammar(FORM, {"note"}, pieces)
    text = json.dumps(value, ensure_ascii=False)
    inner = json.dumps(note, ensure_ascii=False)[1:-1]
    clean = note is None or (inner.strip() == inner and len(inner) <= 9)
    assert ends(vocabulary, source, text) is clean
    assert not ends(vocabulary, source, text.replace("Ada", "Eve")) or "Ada" not in text


def test_a_walk_that_began_again(vocabulary: Vocabulary) -> None:
    walk = Grammar(NUMBER).bind(vocabulary)
    one, two = vocabulary.encode("1"), vocabulary.encode("1")
    first = walk.allowed([])
    walk.allowed(one)
    walk.allowed([*one, *two])
    assert torch.equal(walk.allowed([]), first)


def test_control_tokens_are_never_allowed(vocabulary: Vocabulary) -> None:
    allowed = Grammar("start: /(?s:.*)/").bind(vocabulary).allowed([])
    assert bool(allowed[min(vocabulary.eos_token_ids)])
    others = [i for i, piece in enumerate(vocabulary.token_bytes) if not piece]
    assert not any(bool(allowed[i]) for i in set(others) - vocabulary.eos_token_ids)


@pytest.mark.parametrize(
    "source", ["start: nowhere", 'start: %json {"type": "string", "minLength": 9}x']
)
def test_no_grammar_at_all(source: str) -> None:
    with pytest.raises(ConstraintImpossible, match=r"^No answer can satisfy what is asked of it: "):
        check_grammar(source)


def test_a_schema_that_nothing_satisfies() -> None:
    source = 'start: %json {"type": "string", "minLength": 5, "maxLength": 2}'
    with pytest.raises(ConstraintImpossible, match=r"minLength \(5\) is greater than maxLength"):
        check_grammar(source)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(PackageMissing) as caught:
        check_grammar(NUMBER)
    assert str(caught.value) == (
        "An answer that obeys a schema needs the package llguidance, which cannot be imported. "
        "Type `pip install 'llguidance>=1.5,<2' 'jsonschema>=4.20,<5'`."
    )


@pytest.mark.parametrize("plain", [False, True], ids=["engine", "plain batches"])
def test_rows_of_one_batch_each_obey_their_own(
    llama: Llama, make_executor: Callable[..., BatchExecutor], tiny: LoadedModel, plain: bool
) -> None:
    sources: dict[str, Constraint | None] = {
        "number": Grammar(NUMBER),
        "form": Grammar(json_grammar(FORM, {"note"}, ["Ada", " ", "said"])),
        "forced": Forced(" Omar"),
        "free": None,
    }
    params = SamplingParams(max_new_tokens=60)
    requests = [GenerationRequest(k, "a", params, constraint=c) for k, c in sources.items()]
    session = llama.session()
    if plain:
        session = SessionPool(make_executor(), llama.encoder, 512, tiny.eos_token_ids).open()
    for request in requests:
        session.submit(request)
    done: dict[str, Completion] = {}
    while session.running:
        done |= {completion.request_id: completion for completion in session.step()}
    assert 0 <= int(done["number"].text) <= 99
    form = json.loads(done["form"].text)
    assert set(form) <= set(FORM["properties"])
    assert form["note"] in (None, "Ada", "said", "Ada said")
    assert (done["forced"].text, done["forced"].finish_reason) == (" Omar", "stop")
    (alone,) = llama.generate(["a"], max_new_tokens=60)
    assert done["free"].token_ids == alone.token_ids


def test_a_forced_text_scores_as_transformers_scores_it(tiny: LoadedModel, llama: Llama) -> None:
    """A batch of labels, against one forward pass of each whole text."""
    prompt = "Omar Haddad and the data"
    texts = [" server", " water supply", " ü"]
    requests = [
        GenerationRequest(t, prompt, SamplingParams(max_new_tokens=20), "g", Forced(t))
        for t in texts
    ]
    done = {c.request_id: c for c in llama.stream(requests)}
    for text in texts:
        before, after = llama.encoder.encode(prompt), llama.encoder.encode_text(text)
        ids = [*before, *after, min(tiny.eos_token_ids)]
        with torch.no_grad():
            logits = tiny.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        scores = [
            logits[len(before) - 1 + i, token].item() for i, token in enumerate(ids[len(before) :])
        ]
        assert done[text].logprobs == pytest.approx(scores[:-1])
        assert done[text].stop_logprob == pytest.approx(scores[-1])


def test_a_model_without_an_end(tiny: LoadedModel) -> None:
    endless = Vocabulary(PromptEncoder(tiny.tokenizer, tiny.name), frozenset())
    for constraint in (Forced("a"), Grammar(NUMBER)):
        with pytest.raises(ConstraintImpossible, match="has no token that ends an answer"):
            constraint.bind(endless)
