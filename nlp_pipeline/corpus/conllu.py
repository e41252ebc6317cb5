"""CoNLL-U: the text of annotated documents; the annotation itself is for `evaluate`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from nlp_pipeline.corpus.corpus_file import CorpusFile
from nlp_pipeline.corpus.notes import Notes
from nlp_pipeline.corpus.read_options import NumberedFields, ReadOptions
from nlp_pipeline.corpus.streams import MAX_LINE_BYTES, Line, line_limit, open_stream, read_lines
from nlp_pipeline.errors.file_formats import BadConllu, InvalidUtf8
from nlp_pipeline.errors.records import BadRecord, LineTooLong, Place

COLUMNS = 10
_NEW = re.compile(r"#\s*newdoc\b(?:.*?id\s*=\s*(.*))?")
_ID = re.compile(r"[1-9][0-9]{0,8}(?:-(?P<last>[1-9][0-9]{0,8}))?", re.ASCII)
_EMPTY_NODE = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}", re.ASCII)


@dataclass
class ConlluDocument:
    """The lines of one document.

    Attributes:
        line: 1-based line of the file on which it begins.
        id: As `# newdoc id = …` says; None without.
        lines: Without their line ends.
        error: Why the document cannot be used, where its lines could not be read.
    """

    line: int
    id: str | None = None
    lines: list[str] = field(default_factory=list)
    error: BadRecord | None = None
    _size: int = 0
    _has_words: bool = False

    def add(self, line: Line, source: str, limit: int) -> None:
        """Takes the next line in; of a document over the limit no line is kept.

        Args:
            line: As `read_lines` gives it.
            source: The file's name, for messages.
            limit: The most bytes that a document may have.
        """
        data = line.data
        if isinstance(data, BadRecord):
            self.error, self._has_words = self.error or data, True
            return
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            place = Place(source, line.number)
            self.error = self.error or InvalidUtf8(place, line.offset + error.start, data)
            text = data.decode("utf-8", "replace")
        self._size += len(data)
        if not self._has_words:
            self._has_words = bool(text.strip()) and not text.startswith("#")
        if self._size <= limit:
            self.lines.append(text.rstrip("\r\n"))
        elif self.lines:
            self.error = self.error or LineTooLong(Place(source, self.line), limit)
            self.lines.clear()

    @property
    def has_words(self) -> bool:
        """Whether there is anything but comments and blank lines."""
        return self._has_words


def read_conllu(file: CorpusFile, options: ReadOptions, notes: Notes) -> Iterator[NumberedFields]:
    """The text of every document, made of its words and the spaces that the file notes.

    A document begins at `# newdoc`; a file without is one. Words that a token was split into
    (`1-2 du`, `1 de`, `2 le`) stand in the text as that token.
    """
    for document in conllu_documents(file, line_limit(options.max_length), notes):
        try:
            text = conllu_text(document, file.source)
        except BadRecord as error:
            yield document.line, error
        else:
            fields = {options.text_key: text}
            if document.id is not None:
                fields[options.id_key] = document.id
            yield document.line, fields


def count_conllu(file: CorpusFile) -> Iterator[int]:
    """A 1 for every document that a file holds."""
    return (1 for _ in conllu_documents(file))


def conllu_documents(
    file: CorpusFile, limit: int = MAX_LINE_BYTES, notes: Notes | None = None
) -> Iterator[ConlluDocument]:
    """The documents of a file that hold any words.

    Args:
        file: What to read.
        limit: The most bytes that a document may have; of a longer one no lines are kept.
        notes: Takes the warnings about byte order marks and CR LF; without it there are none.

    Raises:
        InvalidUtf8: The file is UTF-16.
    """
    current = ConlluDocument(1)
    notes = notes or Notes(lambda _: None)
    with open_stream(file.path, file.compression) as stream:
        for line in read_lines(stream, file.source, limit, notes):
            if isinstance(line.data, bytes) and (start := _new_document(line.data)):
                if current.has_words:
                    yield current
                current = ConlluDocument(line.number, (start[1] or "").strip() or None)
            current.add(line, file.source, limit)
    if current.has_words:
        yield current


def conllu_text(document: ConlluDocument, source: str) -> str:
    """The text of a document.

    Raises:
        BadConllu: A line has not ten columns, or an id that is none.
        BadRecord: The lines themselves could not be read.
    """
    if document.error is not None:
        raise document.error
    pieces: list[str] = []
    covered = 0  # words up to this number belong to a token that is there already
    for number, line in enumerate(document.lines, document.line):
        if not line.strip() or line.startswith("#"):
            covered = 0
            continue
        columns = line.split("\t")
        if len(columns) != COLUMNS:
            raise BadConllu(Place(source, number), columns=len(columns))
        id, form, misc = columns[0], columns[1], columns[9]
        if _EMPTY_NODE.fullmatch(id):
            continue
        match = _ID.fullmatch(id)
        first, last = (int(n) for n in id.split("-")) if match and match["last"] else (0, 0)
        if match is None or first > last:
            raise BadConllu(Place(source, number), id=id)
        if not last and int(id) <= covered:
            continue  # a part of a token
        covered = last or covered
        pieces.append(form)
        pieces.append("" if "SpaceAfter=No" in misc.split("|") else " ")
    return "".join(pieces).rstrip()


def _new_document(data: bytes) -> re.Match[str] | None:
    """The comment that begins a document, where the line is one."""
    return _NEW.match(data.decode("utf-8", "replace")) if data.startswith(b"#") else None
