"""`stream`: the rows of documents as soon as they are there, without a run folder."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from spacy.language import Language

from nlp_pipeline.corpus import Record, Reject, read_corpus
from nlp_pipeline.corpus.documents.conversion import Converter
from nlp_pipeline.corpus.documents.conversion_settings import ConversionSettings
from nlp_pipeline.errors.config import OptionsOfALoadedPipeline
from nlp_pipeline.pipeline import PipelineSpec, load_pipeline
from nlp_pipeline.runner.request import RunRequest
from nlp_pipeline.runner.stream import document_rows
from nlp_pipeline.tables.rows import Rows
from nlp_pipeline.tables.schemas import TABLES


def stream(
    corpus: Any,
    pipeline: str | Language = "en_qa_summary",
    *,
    text_key: str = "text",
    id_key: str = "id",
    limit: int | None = None,
    max_length: int = 100_000,
    further_sources: Iterable[str] = (),
    allow_private: bool = False,
    conversion: ConversionSettings | None = None,
    n_process: int = 1,
    batch_size: int | None = None,
    in_order: bool = True,
    on_warning: Callable[[str], None] | None = None,
    **options: Any,
) -> Generator[Rows, None, None]:
    """The rows of each document of a corpus, as soon as they are there: no file is written.

    The rows are those that `run` writes. What cannot be read and what fails has rows too, as
    there: `rows["documents"][0]["status"]` is then `error`, and `rows["errors"]` says why.

    Args:
        corpus: As in `run`; it is read as far as the pipeline has room, so it may be endless.
        pipeline: As in `run`, or a loaded one, such as `spacy.load` gives, with Llama components.
        text_key: The field or column that holds the text; `a.b` is the field b of the object a.
        id_key: The one that holds the id.
        limit: Only so many records, from the first.
        max_length: Longer texts become error records; in code points.
        further_sources: As in `run`.
        allow_private: As in `run`.
        conversion: As in `run`.
        n_process: Worker processes for the linguistic pipes; 1 for a loaded pipeline.
        batch_size: Documents handed to spaCy at a time; the pipeline's own by default.
        in_order: Whether the documents come in their order, or each as soon as it is done.
        on_warning: Takes what the reader notices; without it the package's logger does.
        options: Of the pipeline, as in `run`: `questions`, `settings`, `model`, `device`, `dtype`,
            `adapter`, `lang`, `echo`, … A loaded pipeline has its own and takes none.

    Yields:
        The rows of one document: table → its rows, each with all columns of that table.

    Raises:
        CorpusError: The corpus cannot be read at all; raised by the call itself, like the others.
        ConfigError: The pipeline or one of the options cannot be used.
        InvalidNumber: A number is out of its range.
    """
    if isinstance(pipeline, Language):
        if options or n_process != 1:
            raise OptionsOfALoadedPipeline([*options] or ["n_process"])
        spec = PipelineSpec("loaded")
    else:
        spec = PipelineSpec(pipeline, **options)
    request = RunRequest(
        corpus="",
        out=Path(),
        pipeline=spec,
        limit=limit,
        max_length=max_length,
        n_process=n_process,
        batch_size=batch_size,
        on_error="stop" if in_order else "continue",
    )
    request.check_limits()
    records = read_corpus(
        corpus,
        text_key=text_key,
        id_key=id_key,
        limit=limit,
        max_length=max_length,
        on_warning=on_warning,
        further_sources=further_sources,
        allow_private=allow_private,
        converter=Converter(settings=conversion),
    )
    nlp = pipeline if isinstance(pipeline, Language) else load_pipeline(spec)
    return _rows(request, nlp, records)


def _rows(
    request: RunRequest, nlp: Language, records: Iterator[Record | Reject]
) -> Generator[Rows, None, None]:
    with closing(document_rows(request, nlp, records)) as documents:
        for rows in documents:
            yield {
                name: [{column: row.get(column) for column in TABLES[name].names} for row in table]
                for name, table in rows.items()
            }
