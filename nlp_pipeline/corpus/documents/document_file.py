"""PDF, Word, PowerPoint, HTML and Markdown: a file is a document, converted to text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nlp_pipeline.corpus.corpus_file import CorpusFile, Sources
from nlp_pipeline.corpus.documents.conversion import Converter
from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.read_options import NumberedFields, ReadOptions
from nlp_pipeline.errors.documents import ReaderNotInstalled
from nlp_pipeline.errors.records import BadRecord, Place


class LaidOutFields(dict[str, Any]):
    """The fields of a document of which it is known what stands where.

    Attributes:
        layout: Rows of the table `layout`, without the document's id.
    """

    layout: tuple[Mapping[str, Any], ...] = ()


def require_models(sources: Sources, converter: Converter) -> None:
    """Looks whether the models are there that PDFs are converted by, where there is one.

    Raises:
        DoclingModelsMissing: They are not.
    """
    if not converter.missing_extra and any(file.is_pdf for file in sources.files):
        converter.require_models()


def read_document(file: CorpusFile, options: ReadOptions, notes: Notes) -> Iterator[NumberedFields]:
    """The text of a file with what the file says of itself, or why there is none.

    Raises:
        ReaderNotInstalled: The library that converts it is not there.
        CorpusError: It cannot be used, or its models are not there.
    """
    converter = options.converter or Converter()
    if extra := converter.missing_extra:
        raise ReaderNotInstalled(file.source, extra)
    path = file.local_path()
    try:
        answer = converter.convert(path, Place(file.source, 1))
    except BadRecord as error:
        yield 1, error
    else:
        fields = LaidOutFields({"meta": answer["meta"], options.text_key: answer["text"]})
        fields.layout = tuple(answer["layout"])
        yield 1, fields
    finally:
        if options.converter is None:
            converter.close()
