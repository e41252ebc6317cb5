"""A local model that reasons: what is an answer, what its scores are, when it stops."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from nlp_pipeline.errors.generation import NoAnswerAfterReasoning
from nlp_pipeline.generation.chat import Chat, Message, Prompt
from nlp_pipeline.generation.constraints.constraint import Constraint
from nlp_pipeline.generation.constraints.forced import Forced
from nlp_pipeline.generation.interface import Completion, GenerationRequest, SamplingParams
from nlp_pipeline.generation.loading.load import LoadedModel
from nlp_pipeline.generation.prompt_encoder import PromptEncoder
from nlp_pipeline.generation.sequence import Sequence
from nlp_pipeline.generation.session import SessionPool
from nlp_pipeline.generation.stopping import StopRule

pytestmark = pytest.mark.issue(13)

CHAT = Chat((Message("user", "Who?"),))
EOS = frozenset({2})


class Scripted:
    """An executor whose model always says the same; obeys stop texts and the budget."""

    room = 4

    def __init__(self, encoder: PromptEncoder, text: str) -> None:
        self._encoder, self._text = encoder, text
        self.waiting: list[Sequence] = []

    def add(self, sequence: Sequence) -> None:
        self.waiting.append(sequence)

    def cancel(self, sequences: list[Sequence]) -> None:
        pass

    def close(self) -> None:
        pass

    def step(self) -> list[Sequence]:
        done, self.waiting = self.waiting, []
        for sequence in done:
            params = sequence.params
            rule = StopRule(params.stop, params.max_new_tokens, EOS, self._encoder.token_bytes)
            for number, token in enumerate([*self._encoder.encode_text(self._text), 2]):
                sequence.output_ids.append(token)
                sequence.logprobs.append(-float(number))
                sequence.finish_reason = rule.after(token)
                if sequence.finish_reason:
                    break
            sequence.stopped_by_token = sequence.output_ids[-1] == 2
        return done


Ask = Callable[..., Completion]


@pytest.fixture
def ask(tiny: LoadedModel) -> Ask:
    def complete(
        text: str,
        *,
        opened: str = "",
        prompt: Prompt = CHAT,
        constraint: Constraint | None = None,
        **params: Any,
    ) -> Completion:
        tokenizer = copy.deepcopy(tiny.tokenizer)
        tokenizer.chat_template += opened
        encoder = PromptEncoder(tokenizer, "m")
        session = SessionPool(Scripted(encoder, text), encoder, 512, EOS).open()
        sampling = SamplingParams(**{"max_new_tokens": 400, **params})
        session.submit(GenerationRequest("r", prompt, sampling, constraint=constraint))
        (done,) = session.step()
        return done

    return complete


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("<think>\nShe asks.\n</think>\n\nAna", ""),
        ("She asks.\n</think>\n\nAna", "<think>\n"),
        ("She asks.[/THINK]Ana", "[THINK]"),
        ("[THINK]She asks.[/THINK]Ana", ""),
        ("She asks.</think>Ana", ""),
    ],
)
@pytest.mark.parametrize("stop", [(), ("\n",)])
def test_the_reasoning_is_kept_apart(
    ask: Ask, tiny: LoadedModel, text: str, opened: str, stop: tuple[str, ...]
) -> None:
    if stop and text.startswith("She") and not opened:
        pytest.skip("nothing says that this text is reasoning until its end")
    done = ask(text, opened=opened, stop=stop)
    assert (done.text, done.reasoning, done.error) == ("Ana", "She asks.", None)
    answer = len(PromptEncoder(tiny.tokenizer, "m").encode_text("Ana"))
    assert len(done.token_ids) == len(done.logprobs) == answer
    assert done.logprobs[0] == -done.reasoning_tokens
    assert done.output_tokens == done.reasoning_tokens + answer + (not stop or 1)


def test_the_stop_text_cuts_the_answer(ask: Ask) -> None:
    for opened, text in (("", "<think>\na\n</think>\n\n"), ("<think>\n", "a\n</think>\n\n")):
        done = ask(f"{text}Ana\nOr Bo", opened=opened, stop=("\n",))
        assert (done.text, done.reasoning) == ("Ana", "a")


@pytest.mark.parametrize(
    ("text", "opened", "budget"),
    [
        ("<think>She asks and asks", "", 5),
        ("She asks and asks", "<think>\n", 400),
        ("<think>She asks.</think>\n", "", 400),
    ],
)
def test_reasoning_without_an_answer_is_an_error(
    ask: Ask, text: str, opened: str, budget: int
) -> None:
    done = ask(text, opened=opened, max_new_tokens=budget)
    assert isinstance(done.error, NoAnswerAfterReasoning)
    assert (done.finish_reason, done.text) == ("error", "")
    assert ("max_new_tokens=5 was reached" in str(done.error)) == (budget == 5)
    assert done.reasoning == "" if budget == 5 else done.reasoning


def test_a_text_and_an_answer_without_reasoning_stay_as_they_are(ask: Ask) -> None:
    for prompt in ("Who?", [1, 5]):
        done = ask("<think>a</think>Ana", prompt=prompt)
        assert (done.text, done.reasoning) == ("<think>a</think>Ana", "")
    done = ask(" Ana\n")
    assert (done.text, done.reasoning, done.reasoning_tokens) == (" Ana\n", "", 0)


def test_what_the_document_quotes_is_no_reasoning(ask: Ask) -> None:
    chat = Chat((Message("user", "On <think> and </think>."),))
    for text in ("It is </think> here", "The mark <think>"):
        assert ask(text, prompt=chat).text == text


def test_an_answer_that_is_ruled_begins_at_once(ask: Ask, tiny: LoadedModel) -> None:
    """The block that the template opens is closed before a constraint or an answer's beginning."""
    tokenizer = copy.deepcopy(tiny.tokenizer)
    tokenizer.chat_template += "<think>\n"
    encoder = PromptEncoder(tokenizer, "m")
    assert encoder.written(encoder.encode(CHAT)).endswith("<think>")
    ruled = encoder.written(encoder.encode(CHAT, answers_at_once=True))
    assert ruled.endswith("<think>\n\n</think>\n\n")
    begun = Chat(CHAT.messages, "Answer:")
    assert encoder.written(encoder.encode(begun)).endswith("<think>\n\n</think>\n\nAnswer:")
    assert ask("Ana", opened="<think>\n", prompt=begun).text == "Ana"
    assert ask("Ana", opened="<think>\n", constraint=Forced("Ana")).text == "Ana"


def test_a_chat_template_is_given_its_variables(tiny: LoadedModel) -> None:
    tokenizer = copy.deepcopy(tiny.tokenizer)
    tokenizer.chat_template = "{{ 'on' if enable_thinking is not defined else enable_thinking }}"
    for kwargs, written in (({}, "on"), ({"enable_thinking": False}, "False")):
        encoder = PromptEncoder(tokenizer, "m", kwargs)
        assert encoder.written(encoder.encode(CHAT)) == written
