"""A chat template that would hang or fill the memory is refused; all in use are rendered."""

from __future__ import annotations

import copy
import itertools
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from nlp_pipeline.errors.generation import TemplateUnbounded
from nlp_pipeline.generation import template_limits
from nlp_pipeline.generation.chat import Chat, Message
from nlp_pipeline.generation.loading.load import LoadedModel
from nlp_pipeline.generation.meta.chat_templates import LLAMA_2, LLAMA_3
from nlp_pipeline.generation.prompt_encoder import PromptEncoder

pytestmark = pytest.mark.issue(14)
CHAT = Chat((Message("user", "Who?"),))
LOOP = "{% for a in range(9999) %}"
DOUBLES = (
    "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}"
)


def encode(tiny: LoadedModel, template: str, chat: Chat = CHAT) -> str:
    tokenizer = copy.deepcopy(tiny.tokenizer)
    tokenizer.chat_template = template
    encoder = PromptEncoder(tokenizer, "m")
    return encoder.written(encoder.encode(chat))


@pytest.mark.parametrize(
    "template",
    [
        LOOP * 3 + "{% endfor %}" * 3,
        LOOP * 3 + "x" + "{% endfor %}" * 3,
        "{{ 'a' * 10**8 }}",
        "{{ 'a' * 10**11 }}",
        "{{ 'a' * 99999999999 }}",
        "{{ 99999999999 * 'a' }}",
        "{{ 'a' * (9999 * 9999 * 9999) }}",
        "{{ 9 ** 9 ** 9 }}",
        f"{DOUBLES}{{% endfor %}}x",
        "{% macro f() %}{% for i in range(9) %}{{ f() }}{% endfor %}{% endmacro %}{{ f() }}",
        "{% for i in range(9999) %}{{ 'a' * 9999 }}{% endfor %}",
    ],
)
def test_what_has_no_bound(
    tiny: LoadedModel, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_limits, "MOST_STEPS", 20_000)
    with pytest.raises(Exception, match=r"not rendered|refuses this chat") as caught:
        encode(tiny, template)
    assert isinstance(caught.value, TemplateUnbounded) or "recursion" in str(caught.value)


@pytest.mark.parametrize("template", [LLAMA_2, LLAMA_3, "{{ ' ' * 4 }}**bold** 10**9"])
def test_what_is_in_use(tiny: LoadedModel, template: str) -> None:
    assert encode(tiny, template)


def test_a_long_document_is_no_fault_of_the_template(tiny: LoadedModel) -> None:
    text = "word " * 2000
    assert text in encode(tiny, tiny.tokenizer.chat_template, Chat((Message("user", text),)))


def test_only_the_threads_own_work_counts_as_time(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine a template waits; that others compute meanwhile is no fault of it."""
    template = "{% for i in range(50) %}x{% endfor %}"
    for seconds, refused in ((0, False), (1, True)):
        clock = SimpleNamespace(thread_time=itertools.count(0, seconds).__next__)
        monkeypatch.setattr(template_limits, "time", clock)
        with pytest.raises(TemplateUnbounded, match="5 CPU") if refused else nullcontext():
            assert encode(tiny, template) == "x" * 50
