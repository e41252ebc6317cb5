"""The reasoning that a model writes before its answer, told apart from the answer.

Reasoning models open a block (`<think>`, `[THINK]`, …) or their chat template opens it in the
prompt, so that the text begins inside of it. Nothing here knows a model by its name: the marks of
all known families are looked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = r"(?:[a-z]+:)?(?:ant_?)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad)"

_MARKS = re.compile(
    rf"(?P<open><\s*{_NAME}(?:\s[^<>]*)?(?:>|\Z)"  # DeepSeek, Qwen, and many that learned from them
    rf"|\[\s*{_NAME}\s*\]"  # Mistral
    r"|◁\s*think\s*▷"  # Kimi
    r"|<\|\s*(?:start|begin)_?(?:of_)?(?:thinking|think|thought|reasoning)\s*\|>"  # Cohere
    r"|<\|channel\|?>\s*(?:analysis|commentary|thought)(?:[^<]*<\|message\|>)?"  # gpt-oss, Gemma
    r")|(?P<close>"
    rf"<\s*/\s*{_NAME}\s*>"
    rf"|\[\s*/\s*{_NAME}\s*\]"
    r"|◁\s*/\s*think\s*▷"
    r"|<\|\s*end_?(?:of_)?(?:thinking|think|thought|reasoning)\s*\|>"
    r"|(?:<\|end\|>\s*)?(?:<\|start\|>\s*assistant\s*)?<\|channel\|>\s*final[^<]*<\|message\|>"
    r"|<channel\|>"
    r")",
    re.IGNORECASE,
)

_WRAPPED = re.compile(
    r"\s*(?:<\s*answer\s*>|<\|\s*(?:start_response|begin_of_solution)\s*\|>)"
    r"(?P<answer>.*?)"
    r"(?:<\s*/\s*answer\s*>|<\|\s*(?:end_response|end_of_solution)\s*\|>|\Z)\s*",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class ReasonedText:
    """Where in a text the reasoning and the answer stand.

    Attributes:
        reasons: Whether there is a block of reasoning at all.
        reasoning: All reasoning, without its marks.
        start: First character of the answer.
        end: One past its last character; `start` where there is no answer.
        closed: Whether the last block is closed.
    """

    reasons: bool
    reasoning: str
    start: int
    end: int
    closed: bool = True

    @property
    def unanswered_yet(self) -> bool:
        """Whether there is a block of reasoning and so far nothing after it."""
        return self.reasons and (self.start == self.end or not self.closed)

    @property
    def unanswered(self) -> bool:
        """Whether there is reasoning and no answer after it."""
        return self.start == self.end and (not self.closed or bool(self.reasoning))


def split_reasoning(text: str, *, opened: bool = False, prompt: str = "") -> ReasonedText:
    """Finds the answer in a text that may hold reasoning.

    The answer is what follows the last block; where nothing does, what stands before it. A mark
    that closes what was never opened closes what the prompt has opened. The marks of a text that
    is asked about are no marks of the model: what the prompt holds as well counts only at the
    beginning, or once the model is reasoning.

    Args:
        text: What the model wrote.
        opened: Whether the prompt ends in an open block.
        prompt: The texts of the prompt.
    """
    pieces: list[tuple[int, int]] = []
    inside, reasons, start = opened, opened, 0
    for mark in _MARKS.finditer(text):
        quoted = not reasons and mark[0] in prompt and text[: mark.start()].strip()
        if quoted or (inside and mark["open"]):
            continue
        if mark["open"]:
            pieces.append((start, mark.start()))
        elif not inside:  # the prompt has opened it, or it stands within the reasoning
            pieces.clear()
        inside, reasons, start = bool(mark["open"]), True, mark.end()
    if not reasons:
        return ReasonedText(False, "", start=0, end=len(text))
    if not inside:
        pieces.append((start, len(text)))
    filled = [piece for piece in pieces if text[slice(*piece)].strip()]
    piece = filled[-1] if filled else (len(text), len(text))
    outside = f"{text[: piece[0]]}\n{text[piece[1] :]}"
    start, end = _unwrapped(text, *piece)
    return ReasonedText(
        True, _MARKS.sub("", outside).strip(), start=start, end=end, closed=not inside
    )


def may_reason(text: str) -> bool:
    """Whether a text has any mark of reasoning."""
    return _MARKS.search(text) is not None


def opened_block(prompt: str) -> str:
    """The mark that a rendered prompt ends in an open block with; empty where it does not."""
    last = None
    for last in _MARKS.finditer(prompt):  # noqa: B007  # the last one
        pass
    if last is None or last["open"] is None or prompt[last.end() :].strip():
        return ""
    return last[0]


def closing_mark(mark: str) -> str:
    """The mark that closes the block which `mark` opens."""
    if mark.startswith("<|channel"):
        return (
            "<|end|><|start|>assistant<|channel|>final<|message|>"
            if "message" in mark
            else ("<channel|>")
        )
    if mark.startswith("<|"):
        return re.sub("start|begin", _as_end, mark, count=1, flags=re.IGNORECASE)
    return re.sub(rf"\s*({_NAME})[^>\]▷]*", r"/\1", mark, count=1, flags=re.IGNORECASE)


def _as_end(match: re.Match[str]) -> str:
    return "END" if match[0].isupper() else "end"


def _unwrapped(text: str, start: int, end: int) -> tuple[int, int]:
    """A piece of the text without the space and the marks around it."""
    piece = text[start:end]
    if match := _WRAPPED.fullmatch(piece):
        start, piece = start + match.start("answer"), match["answer"]
    start += len(piece) - len(piece.lstrip())
    return start, start + len(piece.strip())
