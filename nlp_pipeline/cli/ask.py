"""`nlp-pipeline ask`: a further question over the documents of a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from nlp_pipeline.cli.output import note
from nlp_pipeline.cli.watched_run import FAILED_DOCUMENTS, watched_run
from nlp_pipeline.errors.ask import AskError
from nlp_pipeline.errors.escapes import escaped

_PROMPT = "? "


@click.command(short_help="Ask the documents of a run a further question.")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("question", required=False)
@click.option(
    "--where",
    metavar="CONDITION",
    help="Only documents that fit: a condition of SQL over the columns of the table documents, "
    "such as \"n_chars < 2000\" or \"meta->>'$.year' = '2021'\".",
)
@click.option("--id", help="The question's id.  [default: the first of f1, f2, … that is free]")
@click.option("--component", help="The llama_qa to ask.  [default: the first]")
@click.option(
    "-i", "--interactive", is_flag=True, help="Take questions one after the other, a line each."
)
@click.option("--n-process", type=click.IntRange(min=1), help="As for run.")
@click.option("--json", "as_json", is_flag=True, help="Print each answer as a line of JSON.")
def ask(
    run: Path,
    question: str | None,
    *,
    id: str | None,
    interactive: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Ask the documents of the finished run in RUN one question more.

    Texts and pipeline come from RUN itself; the corpus is not needed. The answers are printed as
    they come and become part of the run. A question that it has already costs nothing.

    \b
    Example:
      nlp-pipeline ask runs/sample-en_qa_summary "Who signed it?" --where "n_chars < 2000"
    """  # noqa: D301  (click knows the character itself)
    failed = False
    if question is not None:
        failed = _ask(run, question, id=id, as_json=as_json, **options)
    elif not interactive:
        raise click.UsageError("Give a question, or --interactive.")
    for line in _typed_questions() if interactive else ():
        try:
            failed |= _ask(run, line, id=None, as_json=as_json, **options)
        except AskError as error:  # the next question may be a better one
            note(f"Error: {error}")
    if failed:
        sys.exit(FAILED_DOCUMENTS)


def _ask(run: Path, question: str, *, as_json: bool, **options: Any) -> bool:
    """Asks one question; returns whether a document failed in it."""
    from nlp_pipeline.generation.distributed.process_group import is_main
    from nlp_pipeline.runner.ask import question_request
    from nlp_pipeline.runner.run import execute

    asked_of = question_request(run, question, **options)
    if asked_of.is_known and is_main():
        note(f"The run has this question already, as '{asked_of.question.id}': nothing is asked.")
    quiet = watched_run(asked_of.request, asked_of.records, quiet=True, debug_log=None)
    with quiet as (_, config):
        printer = AnswerPrinter(asked_of.question.id, asked_of.question.component, as_json=as_json)
        execute(asked_of.request, printer, config, records=asked_of.records)
    return printer.failed


def _typed_questions() -> Iterator[str]:
    """The lines of standard input, asked for where somebody types them, up to an empty one."""
    while True:
        if sys.stdin.isatty():
            click.echo(_PROMPT, nl=False, err=True)
        line = sys.stdin.readline()
        if not line.strip():
            return
        yield line


class AnswerPrinter:
    """Prints the answers to one question as they come; a `Progress`.

    Args:
        question_id: The question's.
        component: Who is asked.
        as_json: A line of JSON for each, instead of text.
    """

    def __init__(self, question_id: str, component: str, *, as_json: bool) -> None:
        self._key = (component, question_id)
        self._as_json = as_json
        self.failed = False

    def start(self, total: int | None, done: int) -> None:
        """Nothing to say."""

    def document(self, *, failed: bool, output_tokens: int) -> None:
        """Nothing to say."""

    def warn(self, message: str) -> None:
        """Passes a warning on."""
        note(f"Warning: {escaped(message, 1000)}")

    def answers(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Prints the answers of a document."""
        for row in rows:
            if (row["component"], row["question_id"]) != self._key:
                continue
            self.failed |= row["status"] == "error"
            click.echo(self._line(row))

    def _line(self, row: Mapping[str, Any]) -> str:
        if self._as_json:
            names = ("document_id", "question_id", "answer", "status", "start_char", "end_char")
            return json.dumps({name: row[name] for name in names}, ensure_ascii=False)
        texts = {"ok": row["answer"], "no_answer": "-", "error": f"failed: {row['error']}"}
        text = escaped(" ".join(str(texts[row["status"]]).split()), 500)
        return f"{escaped(row['document_id'])}\t{text}"
