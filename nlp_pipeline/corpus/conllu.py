"""CoNLL-U: the text of annotated documents; the annotation itself is for `evaluate`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.read_options import Found, ReadOptions
from nlp_pipeline.corpus.sources import CorpusFile
from nlp_pipeline.corpus.streams import open_stream
from nlp_pipeline.errors.corpus import BadConllu, Place

_NEW = "# newdoc"
COLUMNS = 10


@dataclass
class ConlluDocument:
    """The lines of one document.

    Attributes:
        line: 1-based line of the file on which it begins.
        id: As `# newdoc id = …` says; None without.
        lines: Without their line ends.
    """

    line: int
    id: str | None = None
    lines: list[str] = field(default_factory=list)


def read_conllu(file: CorpusFile, options: ReadOptions, notes: Notes) -> Iterator[Found]:
    """The text of every document, made of its words and the spaces that the file notes.

    A document begins at `# newdoc`; a file without is one. Words that a token was split into
    (`1-2 du`, `1 de`, `2 le`) stand in the text as that token.
    """
    for document in conllu_documents(file):
        try:
            text = conllu_text(document, file.source)
        except BadConllu as error:
            yield document.line, error
        else:
            fields = {options.text_key: text}
            if document.id is not None:
                fields[options.id_key] = document.id
            yield document.line, fields


def count_conllu(file: CorpusFile) -> int:
    """How many documents a file holds."""
    return sum(1 for _ in conllu_documents(file))


def conllu_documents(file: CorpusFile) -> Iterator[ConlluDocument]:
    """The documents of a file that hold any words."""
    current = ConlluDocument(1)
    with open_stream(file.path, file.compression) as stream:
        for number, data in enumerate(stream, 1):
            line = data.decode("utf-8", errors="replace").strip("\r\n\ufeff")
            if line.startswith(_NEW):
                if _words(current):
                    yield current
                _, _, name = line.partition("id =")
                current = ConlluDocument(number, name.strip() or None)
            current.lines.append(line)
    if _words(current):
        yield current


def conllu_text(document: ConlluDocument, source: str) -> str:
    """The text of a document.

    Raises:
        BadConllu: A line has not ten columns.
    """
    pieces: list[str] = []
    covered = 0  # words up to this number belong to a token that is there already
    for number, line in enumerate(document.lines, document.line):
        if not line.strip() or line.startswith("#"):
            covered = 0
            continue
        columns = line.split("\t")
        if len(columns) != COLUMNS:
            raise BadConllu(Place(source, number), len(columns))
        index, form, misc = columns[0], columns[1], columns[9]
        if "." in index or (index.isdigit() and int(index) <= covered):
            continue  # an empty node, or a part of a token
        if "-" in index:
            covered = int(index.partition("-")[2])
        pieces.append(form)
        pieces.append("" if "SpaceAfter=No" in misc.split("|") else " ")
    return "".join(pieces).rstrip()


def _words(document: ConlluDocument) -> bool:
    return any(line and not line.startswith("#") for line in document.lines)
