"""Answers as pieces of a document and given texts over a server: what is sent, what it means."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import spacy
from stub_server import Action, Body, Handler, StubServer, fail, reply, said, scored

from nlp_pipeline.errors.server import (
    ServerReplyInvalid,
)
from nlp_pipeline.errors.server_abilities import (
    GrammarsNotObeyed,
    SpanGrammarTooLarge,
    TextScoresMissing,
)
from nlp_pipeline.generation.backends.server import ServerGenerator, connection
from nlp_pipeline.generation.backends.server.constrained_requests import MAX_SPAN_CHARACTERS
from nlp_pipeline.generation.backends.server.probe import PROBE_TEXT
from nlp_pipeline.generation.chat import Chat, Message
from nlp_pipeline.generation.constraints.constraint import Constraint
from nlp_pipeline.generation.constraints.forced import Forced
from nlp_pipeline.generation.constraints.spans import DocumentSpans
from nlp_pipeline.generation.interface import (
    Completion,
    GenerationRequest,
    SamplingParams,
    generate,
)
from nlp_pipeline.generation.loading.tokenizers import named_tokenizer

CHAT = Chat((Message("user", "Ann met Bo. Who met Bo?"),), "Answer:")
PROMPT = "Ann met Bo. Who met Bo? Answer:"
Connect = Callable[..., ServerGenerator]


def pieces(text: str) -> DocumentSpans:
    """The pieces of a text from word to word."""
    words = [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]
    return DocumentSpans(text, frozenset(a for a, _ in words), frozenset(b for _, b in words))


SPANS = pieces("Ann met Bo.")
GRAMMAR = 'root ::= " " ("Ann" c0? | "met" c1? | "Bo" c2? | ".") "\\n"?'
NONE = DocumentSpans("", (), (), no_answer="none")


def obedient(field: Callable[[Body], Any], *answers: Body) -> Action:
    """Obeys the grammar of the probe where it stands in a field; then gives the answers."""
    left = list(answers)

    def act(handler: Handler, body: Body) -> None:
        grammar = field(body) or ""
        is_probe = "Say hello." in str(body.get("messages"))
        if is_probe:
            reply(said(PROBE_TEXT if PROBE_TEXT in grammar else "Hello!"))(handler, body)
        else:
            reply(left.pop(0))(handler, body)

    return act


def of_vllm(body: Body) -> Any:
    return body.get("structured_outputs", {}).get("grammar")


def of_old_vllm(body: Body) -> Any:
    return body.get("guided_grammar")


def of_field(name: str, body: Body) -> Any:
    return body.get(name)


def completed(text: str) -> Body:
    """A completion of a text, as vLLM and SGLang have it, scored under the grammar."""
    legacy = {"tokens": [text], "token_logprobs": [-0.125], "top_logprobs": [{text: -0.125}]}
    choice = {"index": 0, "text": text, "finish_reason": "stop", "logprobs": legacy}
    return {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}


def ask(
    generator: ServerGenerator, constraint: Constraint, prompt: Any = PROMPT, **params: Any
) -> Completion:
    """One request under a constraint."""
    request = GenerationRequest("r", prompt, SamplingParams(**params), constraint=constraint)
    (done,) = generate(generator, [request])
    return done


@pytest.fixture(scope="module")
def ids(tiny_llama: str) -> Callable[[str], list[int]]:
    """The tokens of a text, and the one that ends an answer."""
    tokenizer = named_tokenizer(tiny_llama)
    return lambda text: list(tokenizer(text, add_special_tokens=False).input_ids)


@pytest.fixture(scope="module")
def end(tiny_llama: str) -> int:
    return int(named_tokenizer(tiny_llama).eos_token_id)


def scores_of_vllm(*tokens: int) -> Body:
    """Prompt log-probabilities: of the last tokens -1, -2 and so on."""
    scored_tokens = [
        {str(t): {"logprob": -float(n), "rank": 1}} for n, t in enumerate(tokens, start=1)
    ]
    choice = {**completed("x")["choices"][0], "prompt_logprobs": [None, {"5": {}}, *scored_tokens]}
    return {"choices": [choice]}


def test_llama_cpp_gets_a_grammar_and_its_scores_are_taken(
    stub: StubServer, connect: Connect
) -> None:
    stub.serves("llamacpp")
    scores = scored((" Bo", -0.5), (".", -0.25), ("\n", -0.75), ("", -0.1))
    answer = said(" Bo.\n", logprobs=scores)
    stub.otherwise = obedient(partial(of_field, "grammar"), answer, answer)
    generator = connect()
    done = ask(generator, SPANS, CHAT, num_hypotheses=24, max_new_tokens=8)
    assert (done.text, done.logprobs, done.stop_logprob) == (" Bo.", (-0.5, -0.25), -0.75)
    assert SPANS.occurrences(done.text) == [(8, 11)]
    ask(generator, SPANS, CHAT)
    probe, body, _ = stub.bodies
    assert PROBE_TEXT in probe["grammar"], "the server is tried once, then never again"
    rules = [GRAMMAR, 'c0 ::= " met" c1?', 'c1 ::= " Bo" c2?', 'c2 ::= "."']
    assert body["grammar"].splitlines() == rules
    assert body["messages"][-1] == {"role": "assistant", "content": "Answer:"}
    assert (body["max_tokens"], body["logprobs"], "stop" in body) == (8, True, False)


def test_the_space_before_an_answer_is_free_where_nothing_stands_before_it(
    stub: StubServer, connect: Connect
) -> None:
    stub.serves("llamacpp")
    stub.otherwise = obedient(partial(of_field, "grammar"), said("Bo"))
    done = ask(connect(continue_final_message=False), SPANS, CHAT)
    assert SPANS.occurrences(done.text) == [(8, 10)]
    assert stub.bodies[-1]["grammar"].startswith('root ::= " "? ("Ann"')


def test_what_the_budget_cuts_off_goes_back_to_a_word(stub: StubServer, connect: Connect) -> None:
    stub.serves("llamacpp")
    cut = said(" Ann m", finish_reason="length", logprobs=scored((" Ann", -1), (" m", -2)))
    stub.otherwise = obedient(partial(of_field, "grammar"), cut)
    done = ask(connect(), SPANS, CHAT)
    assert (done.text, done.logprobs, done.stop_logprob) == (" Ann", (-1.0,), None)
    assert (done.finish_reason, done.output_tokens) == ("length", 1)


def test_a_given_text_is_scored_under_a_grammar_of_its_own(
    stub: StubServer, connect: Connect
) -> None:
    stub.serves("llamacpp")
    of_text = said(" sport", logprobs=scored((" spo", -1), ("rt", -2), ("", -0.5)))
    of_reply = said(" none", logprobs=scored((" none", -3), ("", -0.25)))
    stub.otherwise = obedient(partial(of_field, "grammar"), of_text, of_reply, said(" other"))
    generator = connect()
    done = ask(generator, Forced(" sport"), CHAT)
    assert (done.logprobs, done.stop_logprob) == ((-1.0, -2.0), -0.5)
    done = ask(generator, NONE, CHAT)
    assert (done.logprobs, done.stop_logprob) == ((-3.0,), -0.25)
    grammars = [body["grammar"] for body in stub.bodies[1:]]
    assert grammars == ['root ::= " " "sport"\n', 'root ::= " " ("none") "\\n"?\n']
    assert isinstance(ask(generator, Forced(" sport"), CHAT).error, ServerReplyInvalid)


@pytest.mark.parametrize("tokens", [[7, 9], [{"id": 7, "piece": " spo"}, {"id": 9, "piece": "rt"}]])
def test_a_given_text_is_scored_in_the_tokenizers_own_tokens(
    stub: StubServer, connect: Connect, tokens: Any
) -> None:
    stub.serves("llamacpp")
    stub.routes["/tokenize"] = reply({"tokens": tokens})
    texts = (" sport", " none", " sport", " sport")
    answers = [said(text, logprobs=scored((text, -1))) for text in texts]
    stub.otherwise = obedient(partial(of_field, "grammar"), *answers)
    generator = connect()
    assert [ask(generator, text, CHAT).error for text in (Forced(" sport"), NONE)] == [None, None]
    assert [body["grammar"] for body in stub.bodies[1:]] == [
        "root ::= <[7]> <[9]>\n",
        'root ::= <[7]> <[9]> "\\n"?\n',
    ]
    stub.script.append(fail(400, "failed to parse grammar"))  # as a server of before does
    assert ask(generator, Forced(" sport"), CHAT).error is None
    ask(generator, Forced(" sport"), CHAT)
    # Refused once, and once more without the document, which is served.
    assert [body.get("grammar") for body in stub.bodies[4:]] == [
        None,
        *['root ::= " " "sport"\n'] * 2,
    ]
    asked = [body["content"] for path, _, body in stub.seen if path == "/tokenize"]
    assert asked == [" sport", " none"], "once a text"


@pytest.mark.parametrize("tokens", [[{"id": 7, "piece": [195]}, {"id": 9, "piece": [163]}], 3])
def test_tokens_that_are_parts_of_characters_are_spelled(
    stub: StubServer, connect: Connect, tokens: Any
) -> None:
    stub.serves("llamacpp")
    stub.routes["/tokenize"] = reply({"tokens": tokens})
    answer = said(" ã", logprobs=scored((" ã", -1)))
    stub.otherwise = obedient(partial(of_field, "grammar"), answer)
    assert ask(connect(), Forced(" ã"), CHAT).error is None
    assert stub.bodies[-1]["grammar"] == 'root ::= " " "ã"\n'


def test_vllm_generates_under_a_grammar_and_is_asked_for_scores(
    stub: StubServer,
    connect: Connect,
    tiny_llama: str,
    ids: Callable[[str], list[int]],
    end: int,
) -> None:
    stub.serves("vllm")
    prompt, text = ids(PROMPT), ids(" Bo")
    answers = completed(" Bo\n"), scores_of_vllm(*text, end)
    stub.otherwise = obedient(of_vllm, *answers)
    done = ask(connect(tokenizer=tiny_llama), SPANS, num_hypotheses=24, max_new_tokens=8)
    probe, generation, scoring = stub.bodies
    assert PROBE_TEXT in probe["structured_outputs"]["grammar"]
    assert generation["prompt"] == prompt
    assert generation["structured_outputs"]["grammar"].startswith(GRAMMAR)
    assert scoring == {
        "model": "tiny",
        "prompt": [*prompt, *text, end],
        "max_tokens": 1,
        "temperature": 0.0,
        "prompt_logprobs": 0,
        "stream": False,
    }
    assert done.text == " Bo"
    assert done.token_ids == tuple(text)
    assert done.logprobs == tuple(-float(n + 1) for n in range(len(text)))
    assert done.stop_logprob == -float(len(text) + 1)
    assert done.masked_logprob == -0.125, "what the server said of what the grammar left"


def test_vllm_before_its_structured_outputs(
    stub: StubServer, connect: Connect, tiny_llama: str, ids: Any, end: int
) -> None:
    stub.serves("vllm")
    stub.otherwise = obedient(of_old_vllm, completed(" Bo"), scores_of_vllm(*ids(" Bo"), end))
    assert ask(connect(tokenizer=tiny_llama), SPANS).text == " Bo"
    assert [sorted(set(body) & {"structured_outputs", "guided_grammar"}) for body in stub.bodies][
        :3
    ] == [["structured_outputs"], ["guided_grammar"], ["guided_grammar"]]


def test_sglang_has_fields_and_a_route_of_its_own(
    stub: StubServer, connect: Connect, tiny_llama: str, ids: Any, end: int
) -> None:
    stub.serves("sglang")
    prompt, text = ids(PROMPT), ids(" Bo")
    entries = [[None, prompt[-1], None]]
    entries += [[-float(n), token, None] for n, token in enumerate([*text, end], start=1)]
    stub.routes["/generate"] = reply({"text": "", "meta_info": {"input_token_logprobs": entries}})
    stub.otherwise = obedient(partial(of_field, "ebnf"), completed(" Bo"))
    generator = connect(tokenizer=tiny_llama)
    done = ask(generator, SPANS)
    assert (done.text, done.stop_logprob) == (" Bo", -float(len(text) + 1))
    assert stub.bodies[-1]["ebnf"].startswith(GRAMMAR)
    path, _, body = stub.seen[-1]
    assert path == "/generate"
    assert body == {
        "input_ids": [*prompt, *text, end],
        "return_logprob": True,
        "logprob_start_len": len(prompt) - 1,
        "sampling_params": {"max_new_tokens": 1, "temperature": 0.0},
        "stream": False,
    }
    stub.routes["/generate"] = reply({"meta_info": {"input_token_logprobs": entries[:-1]}})
    assert isinstance(ask(generator, Forced(" Bo")).error, ServerReplyInvalid)


def test_nothing_is_generated_where_the_text_is_given(
    stub: StubServer, connect: Connect, tiny_llama: str, ids: Any, end: int
) -> None:
    stub.serves("vllm")
    label = ids(" sport")
    stub.otherwise = obedient(of_vllm, scores_of_vllm(*label, end))
    done = ask(connect(tokenizer=tiny_llama), Forced(" sport"))
    assert (done.text, done.finish_reason) == (" sport", "stop")
    assert sum(done.logprobs) == -sum(range(1, len(label) + 1))
    assert (done.prompt_tokens, done.output_tokens) == (len(ids(PROMPT)), len(label) + 1)
    assert len(stub.bodies) == 2


@pytest.mark.parametrize("owner", ["library", "stub"])
def test_a_server_that_obeys_no_grammar_is_refused_before_any_document(
    stub: StubServer, connect: Connect, owner: str
) -> None:
    stub.serves(owner)
    with pytest.raises(
        GrammarsNotObeyed, match=rf"\({owner}\) obeys no grammar\. .*mode = \"free\""
    ):
        ask(connect(), SPANS, CHAT)
    assert not stub.bodies


def test_a_server_is_tried_and_refused_once(stub: StubServer, connect: Connect) -> None:
    stub.serves("llamacpp")
    stub.otherwise = reply(said("Hello!"))
    requests = [GenerationRequest(str(n), CHAT, constraint=SPANS) for n in range(9)]
    with pytest.raises(GrammarsNotObeyed, match="asked for 'qx7' alone it said: 'Hello!'"):
        list(generate(connect(), requests))
    assert len(stub.bodies) == 1, "no document was sent"


def test_a_server_that_is_out_of_order_is_tried_again(stub: StubServer, connect: Connect) -> None:
    stub.serves("llamacpp")
    stub.script.extend([fail(503)] * 2)
    stub.otherwise = obedient(partial(of_field, "grammar"), said(" Bo"))
    generator = connect(max_retries=1)
    first = ask(generator, SPANS, CHAT)
    assert first.error is not None
    assert first.error.retryable
    assert ask(generator, SPANS, CHAT).text == " Bo"


@pytest.mark.parametrize(
    ("owner", "settings", "needed"),
    [
        ("vllm", {}, "set tokenizer to a folder"),
        ("sglang", {}, "set tokenizer to a folder"),
        ("llamacpp", {"logprobs": False}, "set logprobs = true"),
    ],
)
def test_what_the_settings_lack_is_said(
    stub: StubServer, connect: Connect, owner: str, settings: Any, needed: str
) -> None:
    stub.serves(owner)
    with pytest.raises(TextScoresMissing, match=needed):
        ask(connect(**settings), SPANS, CHAT)
    assert not stub.bodies


def test_a_long_text_is_refused_with_what_shortens_it(
    stub: StubServer, connect: Connect, tiny_llama: str
) -> None:
    stub.serves("vllm")
    stub.otherwise = obedient(of_vllm)
    longest = MAX_SPAN_CHARACTERS["vllm"]
    done = ask(connect(tokenizer=tiny_llama), pieces("Ann met Bo. " * (longest // 12 + 1)))
    assert isinstance(done.error, SpanGrammarTooLarge)
    assert f"the pieces of at most {longest} as a grammar" in str(done.error)
    assert "Ask about less of the document at a time: set chunk_tokens" in str(done.error)
    assert len(stub.bodies) == 1, "the document stays here"


def falk(handler: Handler, body: Body) -> None:
    """Always finds Mrs. Falk, and is quite sure of it."""
    if PROBE_TEXT in body["grammar"]:
        reply(said(PROBE_TEXT))(handler, body)
    elif "not in the document" in body["grammar"]:
        scores = scored((" not in the document", -9.0), ("", -0.5))
        reply(said(" not in the document", logprobs=scores))(handler, body)
    else:
        reply(said(" Falk\n", logprobs=scored((" Falk", -0.5), ("\n", -0.5))))(handler, body)


def block(stub: StubServer) -> dict[str, str]:
    return {"@llama_generators": "nlp_pipeline.server.v1", "base_url": stub.url}


def test_llama_qa_answers_with_pieces_over_a_server(stub: StubServer) -> None:
    stub.serves("llamacpp")
    stub.otherwise = falk
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    questions = ["Who built the bridge?"]
    nlp.add_pipe(
        "llama_qa",
        config={"mode": "extractive", "questions": questions, "generator": block(stub)},
    )
    doc = nlp("The river is wide. Mrs. Falk built the bridge. It is open.")
    (answer,) = doc._.answers
    assert (answer["answer"], answer["status"], answer["alignment"]) == ("Falk", "ok", "exact")
    assert answer["sum_logprob"] == -1.0
    assert answer["no_answer_prob"] == pytest.approx(math.exp(-9.5))
    assert answer["answerable"] > 0.5
    assert [span.text for span in doc.spans["answers"]] == ["Falk"]
    pieces_of = [body["grammar"] for body in stub.bodies if "c0 ::=" in body["grammar"]]
    assert "river" not in pieces_of[0], "the evidence is asked about first"


def test_a_classifier_over_a_server_that_obeys_nothing_ends_the_stream(stub: StubServer) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("llama_classifier", config={"labels": ["a", "b"], "generator": block(stub)})
    with pytest.raises(GrammarsNotObeyed):
        list(nlp.pipe(["one", "two"]))


@pytest.mark.parametrize(
    ("owner", "settings", "can"),
    [
        ("llamacpp", {}, True),
        ("llamacpp", {"logprobs": False}, False),
        ("vllm", {}, False),
        ("vllm", {"tokenizer": "somewhere"}, True),
        ("sglang", {"tokenizer": "somewhere", "logprobs": False}, False),
        ("library", {"tokenizer": "somewhere"}, False),
    ],
)
def test_who_says_how_likely_a_text_is(
    stub: StubServer,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    owner: str,
    settings: Any,
    can: bool,
) -> None:
    monkeypatch.setattr(connection, "_encoder", lambda settings: None)
    stub.serves(owner)
    assert connect(**settings).scores_texts is can


def test_a_text_that_opens_the_answer_is_scored_without_a_space(
    stub: StubServer, connect: Connect
) -> None:
    stub.serves("llamacpp")
    stub.routes["/tokenize"] = reply({"tokens": [7]})
    text = "Ann met\nBo."
    answer = said(text, logprobs=scored((text, -1)))
    stub.otherwise = obedient(partial(of_field, "grammar"), answer)
    done = ask(connect(), Forced(text), Chat(CHAT.messages))
    assert (done.error, done.text, done.logprobs) == (None, text, (-1.0,))
    assert [body["content"] for path, _, body in stub.seen if path == "/tokenize"] == [text]
