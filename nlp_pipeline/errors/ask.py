"""Errors of asking a run a further question."""

from __future__ import annotations

from collections.abc import Iterable

from nlp_pipeline.errors.base import NlpPipelineError, counted, listing
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.packages import pip_install


class AskError(NlpPipelineError):
    """A question that cannot be asked."""

    stage = "config"


class RunUnfinished(AskError):
    """A run that has not come to its end."""

    def __init__(self, run: str) -> None:
        super().__init__(
            f"The run in '{escaped(run)}' is not finished. Let it end, or type its command again "
            "(`nlp-pipeline status` names it); then ask."
        )


class RunTooOld(AskError):
    """A run that has not kept what asking further takes."""

    def __init__(self, run: str) -> None:
        super().__init__(
            f"The run in '{escaped(run)}' was begun before answers and questions were kept. Type "
            "its command with --fresh, or with the question in another folder."
        )


class NoQuestionComponent(AskError):
    """A pipeline without the component that is to be asked."""

    def __init__(self, run: str, component: str | None, choices: Iterable[str]) -> None:
        absence = "no llama_qa" if component is None else f"no llama_qa '{escaped(component)}'"
        super().__init__(
            f"The pipeline of the run in '{escaped(run)}' has {absence}. Components that answer "
            f"questions: {listing(map(escaped, choices))}."
        )


class EmptyQuestion(AskError):
    """A question without a word."""

    def __init__(self) -> None:
        super().__init__('The question is empty. Type one, as in: ask RUN "Who signed it?"')


class QuestionIdTaken(AskError):
    """An id that another question of the run has."""

    def __init__(self, id: str, text: str | None) -> None:
        owner = (
            "a record's own question" if text is None else f"the question '{escaped(text, 200)}'"
        )
        super().__init__(
            f"The id '{escaped(id)}' is that of {owner}. Give another with --id, or leave it out."
        )


class WhereNotReadable(AskError):
    """An expression over the documents that the database cannot read."""

    def __init__(self, expression: str, reason: str, columns: Iterable[str]) -> None:
        super().__init__(
            f"--where {escaped(expression, 200)}: {escaped(reason, 300)}. Write a condition as in "
            f"SQL, such as n_chars < 2000; the columns are: {listing(columns, 30)}. A field of "
            "meta is meta->>'$.name'. Files cannot be read."
        )


class NoDocumentMatches(AskError):
    """An expression that no document fits."""

    def __init__(self, expression: str, documents: int) -> None:
        super().__init__(
            f"--where {escaped(expression, 200)} fits none of the {counted(documents, 'document')} "
            "of the run: nothing is asked."
        )


class WhereNeedsDuckdb(AskError):
    """`--where` without the package that reads it."""

    def __init__(self) -> None:
        super().__init__(f"--where needs the package duckdb: `{pip_install('duckdb')}`.")
