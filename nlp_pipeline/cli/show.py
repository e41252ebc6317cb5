"""`nlp-pipeline show`: one document of a run, its entities, answers, summary and reviews."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nlp_pipeline.cli.output import print_json

COLORS = ["cyan", "green", "yellow", "magenta", "blue", "red"]


@click.command(short_help="Show one document of a run.")
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("document_id")
@click.option("--json", "as_json", is_flag=True, help="Print the rows of all tables as JSON.")
def show(out: Path, document_id: str, *, as_json: bool) -> None:
    """Show the document DOCUMENT_ID of the run in the folder OUT.

    \b
    Example:
      nlp-pipeline show runs/sample-en_qa_summary news-harbour-bridge
    """  # noqa: D301  (click knows the character itself)
    from rich.console import Console

    from nlp_pipeline.run_folder.read import document_rows

    rows = document_rows(out, document_id)
    if as_json:
        print_json(rows)
        return
    console = Console(highlight=False)
    document = rows["documents"][0]
    console.print(_plain(f"{document_id}  ({document['status']})"), style="bold")
    if document["text"] is not None:
        console.print(_marked(document["text"], rows["entities"]))
    for answer in rows["answers"]:
        console.print(_line(answer["question"], answer["answer"], answer))
    for summary in rows["summaries"]:
        console.print(_line("Summary", summary["summary"], summary))
    for review in rows["reviews"]:
        console.print(_judgement(review, document["text"] or ""))
    for error in rows["errors"]:
        console.print(_plain(f"{error['stage']}: {error['message']}"), style="red")


def _plain(text: str) -> Any:
    """A text whose control characters are shown and whose markup is not obeyed."""
    from rich.text import Text

    from nlp_pipeline.errors.escapes import escaped

    return Text("\n".join(escaped(line, limit=100_000) for line in text.split("\n")))


def _marked(text: str, entities: list[dict[str, Any]]) -> Any:
    """The text with each entity coloured by its label and the label behind it."""
    from rich.text import Text

    labels = sorted({entity["label"] for entity in entities})
    line, end = Text(), 0
    for entity in entities:
        color = COLORS[labels.index(entity["label"]) % len(COLORS)]
        line.append_text(_plain(text[end : entity["start_char"]]))
        piece = _plain(text[entity["start_char"] : entity["end_char"]])
        piece.stylize(f"bold {color}")
        line.append_text(piece)
        line.append(f" {entity['label']}", style=f"dim {color}")
        end = entity["end_char"]
    line.append_text(_plain(text[end:]))
    return line


def _judgement(review: dict[str, Any], text: str) -> Any:
    """Who thinks what of which row, in one line."""
    from rich.text import Text

    from nlp_pipeline.errors.escapes import escaped
    from nlp_pipeline.run_folder.review_table import text_digest

    subject = review["question_id"] or review["field"] or review["target"]
    verdict = {"accept": "right", "reject": "wrong", "correct": "wrong; right is"}[
        review["verdict"]
    ]
    words = [f"{subject}: {review['answer'] or 'none'} is {verdict}"]
    if review["verdict"] == "correct":
        words.append(" ".join(filter(None, [review["text"] or "none", _label_of(review)])))
    line = Text("\nReviewed").append(f" by {escaped(review['reviewer'] or 'nobody named')}: ")
    line.append_text(_plain(" ".join(words)))
    if review["note"]:
        line.append_text(Text(" (").append_text(_plain(review["note"])).append(")"))
    if review["text_digest"] != text_digest(text):
        line.append(" [of another text]", style="dim")
    return line


def _label_of(review: dict[str, Any]) -> str:
    return f"({review['label']})" if review["target"] == "entities" and review["label"] else ""


def _line(question: str, reply: str | None, row: dict[str, Any]) -> Any:
    from rich.text import Text

    line = Text("\n").append_text(_plain(question)).append(": ")
    line.append_text(_plain(reply) if reply is not None else Text(row["status"], style="red"))
    if row.get("start_char") is not None:
        line.append(f"  [{row['start_char']}:{row['end_char']}]", style="dim")
    return line
