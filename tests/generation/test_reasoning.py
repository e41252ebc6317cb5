from __future__ import annotations

import pytest

from nlp_pipeline.generation.reasoning import closing_mark, opened_block, split_reasoning

pytestmark = pytest.mark.issue(13)


def split(text: str, **options: object) -> tuple[str, str]:
    """Reasoning and answer."""
    parts = split_reasoning(text, **options)  # type: ignore[arg-type]
    return parts.reasoning, text[parts.start : parts.end]


@pytest.mark.parametrize(
    ("text", "reasoning"),
    [
        ("<think>\nShe asks.\n</think>\n\nAna", "She asks."),
        ("<think>She asks.</think>Ana\n", "She asks."),
        ("\n <THINK>\nShe asks.</Think> Ana", "She asks."),
        ('<think budget="9" lang="en">She asks.</think>Ana', "She asks."),
        ("<think >She asks.</ think >Ana", "She asks."),
        ("< think >She asks.< / think >Ana", "She asks."),
        ("<thinking>She asks.</thinking>Ana", "She asks."),
        ("<seed:think>She asks.</seed:think>Ana", "She asks."),
        ("<reasoning>She asks.</reasoning><answer>Ana</answer>", "She asks."),
        ("<think>She asks.</think>\n<answer>\nAna\n</answer>\n", "She asks."),
        ("[THINK]She asks.[/THINK]Ana", "She asks."),
        ("◁think▷She asks.◁/think▷Ana", "She asks."),
        (
            "<|START_THINKING|>She asks.<|END_THINKING|><|START_RESPONSE|>Ana<|END_RESPONSE|>",
            "She asks.",
        ),
        ("<|begin_of_thought|>She asks.<|end_of_thought|>Ana", "She asks."),
        (
            "<|channel|>analysis<|message|>She asks.<|end|><|start|>assistant"
            "<|channel|>final<|message|>Ana",
            "She asks.",
        ),
        ("She asks.\n</think>\nAna", "She asks."),  # opened by the template
        ("<think></think>Ana", ""),
        ("<think>\n\n</think>\n\nAna", ""),
        ("<think>She</think><think>asks.</think>Ana", "Sheasks."),
        ("Ana<think>She asks.</think>", "She asks."),
        ("<think>She asks.</think>Ana<think>Or Bo", "She asks.\nOr Bo"),
        ("<think>She <think>asks</think>.</think>Ana", "She asks."),
        (
            "<think>I will close with </think>. She asks.</think>Ana",
            "I will close with . She asks.",
        ),
    ],
)
def test_the_answer_is_what_follows(text: str, reasoning: str) -> None:
    assert split(text) == (reasoning, "Ana")


@pytest.mark.parametrize("text", ["<think>She asks", "<think>", "<think>She asks.</think>\n", "ab"])
def test_reasoning_without_an_answer(text: str) -> None:
    parts = split_reasoning(text, opened="<" not in text)
    assert parts.unanswered
    assert parts.start == parts.end


@pytest.mark.parametrize("text", ["Ana", "", " \n", "a < b > c", "thinking of Ana", "[thinker]"])
def test_a_text_without_reasoning_stays_as_it_is(text: str) -> None:
    parts = split_reasoning(text)
    assert (parts.reasons, text[parts.start : parts.end], parts.unanswered) == (False, text, False)


def test_an_empty_block_with_nothing_after_it_is_an_empty_answer() -> None:
    assert not split_reasoning("<think>\n</think>\n").unanswered


@pytest.mark.parametrize(
    "text", ["The tag <think> opens it.", "It ends with </think>, he says.", "<b>x</b></think>"]
)
def test_marks_of_the_text_asked_about_are_quoted(text: str) -> None:
    prompt = "What of <think> and </think> in this page?"
    assert split(text, prompt=prompt) == ("", text)
    assert split(f"<think>Hm.</think>{text}", prompt=prompt)[0]


def test_a_text_that_the_prompt_has_opened() -> None:
    assert split("She asks.</think>Ana", opened=True) == ("She asks.", "Ana")
    assert split("<think>She asks.</think>Ana", opened=True) == ("She asks.", "Ana")


@pytest.mark.parametrize(
    ("prompt", "opens"),
    [
        ("<|im_start|>assistant\n<think>\n", True),
        ("<|im_start|>assistant\n[THINK]", True),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", False),
        ("The tag <think> opens it.<|im_start|>assistant\n", False),
        ("", False),
    ],
)
def test_whether_a_prompt_opens_a_block(prompt: str, opens: bool) -> None:
    assert bool(opened_block(prompt)) is opens


@pytest.mark.parametrize(
    ("mark", "closes"),
    [
        ("<think>", "</think>"),
        ('<think budget="9">', "</think>"),
        ("<seed:think>", "</seed:think>"),
        ("[THINK]", "[/THINK]"),
        ("◁think▷", "◁/think▷"),
        ("<|START_THINKING|>", "<|END_THINKING|>"),
        ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ],
)
def test_the_mark_that_closes_a_block(mark: str, closes: str) -> None:
    assert closing_mark(mark) == closes
    assert split(f"{mark}Hm.{closes}Ana") == ("Hm.", "Ana")
