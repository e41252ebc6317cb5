from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import spacy

from nlp_pipeline.errors.config import ExampleInvalid, ExamplesUnreadable
from nlp_pipeline.prompts import load_examples, load_template
from nlp_pipeline.prompts.examples import digest

ROOT = Path(__file__).parents[2]
FIELDS, NONE = ("text", "question"), "not in the document"
GOOD = {"text": "Anna left Oslo.", "question": "Who left?", "answer": "Anna"}


def load(given: Any) -> Any:
    return load_examples("llama_qa", given, FIELDS, "answer", no_answer=NONE)


def test_they_are_turns_before_the_document() -> None:
    """The document comes last, so that all documents share the rest as a prefix."""
    template = load_template("qa.v1")
    values = {"text": "Omar stayed.", "question": "Who stayed?", "no_answer": NONE}
    examples = load([GOOD, {**GOOD, "question": "Why?", "answer": None}])
    plain, shown = template.render(values), template.render(values, examples)
    roles = [message.role for message in shown.messages]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]
    assert shown.messages[0] == plain.messages[0]
    assert shown.messages[-1] == plain.messages[-1]
    assert shown.messages[1].content.startswith("Document:\nAnna left Oslo.\n\nQuestion: Who left?")
    assert shown.messages[2].content == "Answer: Anna"
    assert shown.messages[4].content == "Answer: not in the document"
    assert shown.answer_prefix == plain.answer_prefix


def test_from_a_config_and_from_files(tmp_path: Path) -> None:
    lines, array = tmp_path / "e.jsonl", tmp_path / "e.json"
    lines.write_text(json.dumps(GOOD) + "\n\n")
    array.write_text(json.dumps([GOOD]))
    assert load(str(lines)) == load(str(array)) == load([GOOD])
    assert digest(load([GOOD])) != digest(load([GOOD, GOOD]))
    nlp = spacy.blank("en")
    config = {"examples": str(lines), "generator": {"@llama_generators": "nlp_pipeline.echo.v1"}}
    pipe: Any = nlp.add_pipe("llama_qa", config=config)
    assert pipe.examples == load([GOOD])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"answer": "Omar"}, "has a 'answer' that does not stand in its own 'text': 'Omar'"),
        ({"answer": ""}, "has no text under 'answer'"),
        ({"answer": 3}, "has no text under 'answer'"),
        ({"text": " "}, "has no text under 'text'"),
        ({"question": None}, "has no text under 'question'"),
        ({"answers": ["Anna"]}, "has the unknown key 'answers'"),
    ],
)
def test_one_that_is_wrong_is_named(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ExampleInvalid) as caught:
        load([GOOD, {**GOOD, **change}])
    message = str(caught.value)
    assert message.startswith("components.llama_qa.examples: number 2 ({'text': ")
    assert message.endswith(f"{reason}. An example is an object with: text, question, answer.")


def test_a_missing_field() -> None:
    with pytest.raises(ExampleInvalid, match=r"number 1 .* has no 'answer'. An example is an obj"):
        load([{"text": "x", "question": "y"}])
    with pytest.raises(ExampleInvalid, match="is no object"):
        load(["x"])


@pytest.mark.parametrize(
    ("content", "reason"), [("", "it holds no examples"), ("{", "it is no JSON"), (None, "No such")]
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: str | None, reason: str) -> None:
    file = tmp_path / "e.jsonl"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ExamplesUnreadable, match=f"e.jsonl cannot be used: {reason}"):
        load(str(file))
    with pytest.raises(ExamplesUnreadable, match="neither a list nor a path"):
        load(7)


def test_summaries_need_not_stand_in_their_text() -> None:
    given = [{"text": "Anna left Oslo.", "summary": "Somebody left."}]
    (example,) = load_examples("llama_summarizer", given, ("text",), "summary")
    assert example.reply == "Somebody left."


def test_the_shipped_examples_are_good() -> None:
    assert len(load(str(ROOT / "corpora" / "examples" / "qa.jsonl"))) == 3
