"""Errors of sources that cannot be used at all, and what readers say while they go on."""

from __future__ import annotations

from collections.abc import Iterable

from nlp_pipeline.errors.base import NlpPipelineError, counted, did_you_mean, listing, noun_form
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.packages import pip_install
from nlp_pipeline.errors.records import Place, field_names, source_name


class CorpusError(NlpPipelineError):
    """A source that cannot be used at all; nothing of it is read."""

    stage = "read"


class CorpusNotFound(CorpusError):
    """A source that is not there."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"The corpus '{source_name(source)}' was not found. Give a file, a folder, or - for "
            "standard input."
        )


class PatternMatchesNothing(CorpusNotFound):
    """A pattern of names that no file has."""

    def __init__(self, pattern: str) -> None:
        CorpusError.__init__(
            self,
            f"No file matches the pattern '{source_name(pattern)}'. Mend it; ** stands for folders "
            "of any depth.",
        )


class CorpusNotReadable(CorpusError):
    """A source that is there and that the system does not let us open."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(
            f"The corpus '{source_name(source)}' cannot be opened: {escaped(reason)}. Check its "
            "permissions."
        )


class CorpusNotAFile(CorpusError):
    """A source that is a named pipe, a device or a socket: to open it may wait for ever."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"The corpus '{source_name(source)}' is neither a file nor a folder. Send a stream to "
            "standard input and give - as the corpus."
        )


class CorpusIsARun(CorpusError):
    """A folder that a run has written its tables into."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"The corpus '{source_name(source)}' is the folder of a run, which is not read as "
            "documents. Name the corpus itself, or one table of the run, such as "
            f"'{source_name(source)}/documents'."
        )


class UnsupportedCorpus(CorpusError):
    """A file whose name says no format that can be read."""

    def __init__(self, source: str, supported: Iterable[str]) -> None:
        super().__init__(
            f"The corpus '{source_name(source)}' has no format that is read here; there are: "
            f"{listing(supported, 30)}; those of text also with .gz or .zst. Convert or rename it; "
            "JSON Lines is one object a line."
        )


class EmptyCorpusFolder(CorpusError):
    """A folder that holds no file that can be read, or none without a further package."""

    def __init__(
        self,
        source: str,
        supported: Iterable[str],
        other_files: Iterable[str],
        *,
        missing_extras: Iterable[str] = (),
    ) -> None:
        commands = " and ".join(f"`{pip_install(extra)}`" for extra in missing_extras)
        hint = f" Some of it needs a package that is not installed: type {commands}."
        hint = hint if commands else ""
        super().__init__(
            f"The folder '{source_name(source)}' holds nothing to read: looked for "
            f"{listing(supported, 30)}; it has: {field_names(other_files)}.{hint}"
        )


class NoTextColumn(CorpusError):
    """A table whose columns do not include the text."""

    def __init__(
        self, source: str, text_key: str, columns: Iterable[str], setting: str = "--text-key"
    ) -> None:
        names = list(columns)
        super().__init__(
            f"{source_name(source)} has no column '{escaped(text_key)}'; it has: "
            f"{field_names(names)}.{did_you_mean(text_key, names)} Name the column with {setting}."
        )


class NoTextField(CorpusError):
    """Records of which none has the field with the text."""

    def __init__(
        self,
        source: str,
        text_key: str,
        fields: Iterable[str],
        records: int,
        setting: str = "--text-key",
    ) -> None:
        names = list(fields)
        super().__init__(
            f"{source_name(source)} has no '{escaped(text_key)}' in any of its first "
            f"{counted(records, 'record')}; they have: {field_names(names)}."
            f"{did_you_mean(text_key, names)} Name the field with {setting}."
        )


class ZstdNotInstalled(CorpusError):
    """A `.zst` file where nothing is installed that reads it."""

    def __init__(self, source: str) -> None:
        super().__init__(
            f"{source_name(source)} is compressed with Zstandard, and the package that reads it is "
            f"not installed. Type `{pip_install('zst')}`."
        )


class NoFrameColumn(CorpusError):
    """A column that a frame has none of, or more than one of."""

    def __init__(self, column: object, columns: Iterable[object], count: int = 0) -> None:
        how = counted(count, "column") if count else "no column"
        names = list(map(str, columns))
        hint = "" if count else did_you_mean(str(column), names)
        super().__init__(
            f"The frame has {how} '{escaped(str(column), 60)}'; it has: "
            f"{field_names(names)}.{hint} Name the one that holds the texts."
        )


class QuestionsUnusable(CorpusError):
    """Questions for a frame that cannot be asked."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f'{reason}. Give a list such as ["Who is named?"], each question once, or a dict from '
            'the name of a column to its question: {"who": "Who is named?"}.'
        )


def rows_without_answer(failed: int, rows: int) -> str:
    """What is said where some rows of a frame could not be asked about.

    Args:
        failed: How many.
        rows: Of so many.
    """
    return (
        f"{failed:,} of {counted(rows, 'row')} failed and {noun_form(failed, 'has', 'have')} no "
        "answer; details=True gives a column that says why."
    )


class NotACorpus(CorpusError):
    """An object of a program that holds no records."""

    def __init__(self, type_name: str, keys: Iterable[str] = ()) -> None:
        of = f" with {field_names(keys)}" if keys else ""
        advice = (
            "Give one of its values, or a list of records"
            if keys
            else "Give a path, a table of pandas, polars or Arrow, a data set, or an iterable of "
            "texts, of records or of pairs of a text and its context"
        )
        super().__init__(f"The corpus is a {escaped(type_name, 60)}{of}. {advice}.")


CORPUS_WARNINGS = {
    "byte_order_mark": "{place} starts with a byte order mark, which was left out.",
    "crlf": "{place} ends with CR LF; such line ends are read like LF.",
    "not_finite": "{place} holds NaN or an infinite number, which was read as null.",
    "control_character": "{place} holds a control character that JSON wants escaped; it was kept.",
    "lone_surrogate": "{place} holds half a surrogate pair, which was read as U+FFFD.",
    "huge_integer": "{place} holds an integer of more than 64 bits, which was read as a string.",
    "bytes": "{place} holds bytes that are not UTF-8 in its other fields, which were read as null.",
    "no_python_value": "{place} holds a value that cannot be read, such as a date out of range or "
    "a time of an unknown zone, which was read as null.",
    "meta_clash": "{place} has '{name}' both beside and in its 'meta'; the one in 'meta' was kept.",
    "wrong_encoding": "{place} is not in the encoding '{name}' that it names; it is read as "
    "Windows-1252.",
    "repeated_column": "{place} has two columns '{name}'; the second is read as '{name}_2'.",
    "no_documents": "{file} holds no documents.",
    "blank_lines": "Blank lines passed over: {count}.",
    "files_passed_over": "Files of other formats in '{file}' were passed over: {names}.",
    "folders_left_out": "Folders in '{file}' were left out: {names}.",
}
"""What a reader says while it goes on; each is said once in a corpus, where it is first met."""

SAID_ONCE = frozenset(CORPUS_WARNINGS) - {
    "no_documents",
    "blank_lines",
    "files_passed_over",
    "folders_left_out",
}
"""The warnings that close with a hint that further places are not named."""


def corpus_warning(
    name: str,
    place: Place | None = None,
    *,
    source: str = "",
    count: int = 0,
    names: Iterable[str] = (),
) -> str:
    """The text of a warning.

    Args:
        name: A key of `CORPUS_WARNINGS`.
        place: The first record it holds for.
        source: The file or folder it holds for, where it is not a single record.
        count: How many things it speaks of.
        names: Names found in the corpus; escaped and bounded here.
    """
    text = CORPUS_WARNINGS[name].format(
        place=place,
        file=source_name(source),
        count=f"{count:,}",
        names=field_names(names),
        name=field_names(names),
    )
    return f"{text} Said once; there may be more." if name in SAID_ONCE else text


def files_unread(source: str, extra: str, names: Iterable[str]) -> str:
    """What is said of files in a folder that only lack the package that reads them.

    Args:
        source: The folder.
        extra: Its packages read them.
        names: Of the files.
    """
    return (
        f"Files in '{source_name(source)}' were not read, as a package is not installed: "
        f"{field_names(names)}. Type `{pip_install(extra)}`."
    )


def id_shared(place: Place, key: str, id: str, *, owner: str, name: str) -> str:
    """What is said of the first record whose id a record of another file has.

    Args:
        place: The record.
        key: The field of the id.
        id: What both call themselves.
        owner: The file of the other record, which keeps the id.
        name: What the record is called.
    """
    return (
        f"{place} has the {escaped(key)} '{escaped(id)}', which a record of {source_name(owner)} "
        f"has too: it is called '{escaped(name, 200)}', and so is every record whose id an earlier "
        "file has. Where that is one document twice, leave one out; --id-key names another field. "
        "Said once; there may be more."
    )
