"""Answers that show themselves in a notebook."""

from __future__ import annotations

import math
from html import escape
from typing import Any

_CELL = "text-align:left;vertical-align:top"


class Answers(list[dict[str, Any]]):
    """The value of `doc._.answers`: a list, with a table of itself for notebooks.

    Those of a Doc that was read back from bytes are plain.
    """

    def _repr_html_(self) -> str:
        """Question, answer, where it stands and how sure the model was; all of it escaped."""
        head = "".join(
            f'<th style="{_CELL}">{name}</th>'
            for name in ("question", "answer", "in the text", "probability")
        )
        rows = "".join(_row(answer) for answer in self)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(answer: dict[str, Any]) -> str:
    text = answer["answer"] if answer["status"] == "ok" else None
    cell_text = escape(text) if text is not None else f"<i>{_why(answer)}</i>"
    place = "" if text is None else escape(answer["alignment"])
    if text is not None and answer["start_char"] is not None:
        place += f" [{answer['start_char']}:{answer['end_char']}]"
    mean = answer["mean_logprob"] if text is not None else None
    sure = "" if mean is None else f"{math.exp(mean):.2f}"
    cells = (escape(answer["question"]), cell_text, place, sure)
    return "<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells) + "</tr>"


def _why(answer: dict[str, Any]) -> str:
    return "no answer" if answer["status"] == "no_answer" else escape(answer["error"] or "failed")
