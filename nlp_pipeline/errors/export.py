"""Errors of the export: forms, targets, what a file of another tool cannot hold."""

from __future__ import annotations

from collections.abc import Iterable

from nlp_pipeline.errors.base import counted, did_you_mean, listing, noun_form
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.packages import pip_install
from nlp_pipeline.errors.run_folder import OutputError


class UnknownTarget(OutputError):
    """A name that no form of export has."""

    def __init__(self, name: str, choices: Iterable[str]) -> None:
        names = list(choices)
        super().__init__(
            f"A run cannot be exported to '{escaped(name, 40)}'; there are: {listing(names, 30)}."
            f"{did_you_mean(name, names)}"
        )


class ExtraMissing(OutputError):
    """A form whose package is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs a package that is not installed: type `{pip_install(extra)}`."
        )


class TargetRefused(OutputError):
    """A path that an export is not written to."""


class TargetInARun(TargetRefused):
    """A path that is the folder of a run, or in one."""

    def __init__(self, path: str, run: str) -> None:
        super().__init__(
            f"'{escaped(path, 300)}' is part of the folder of the run '{escaped(run, 300)}', "
            "which holds nothing but what the run itself writes. Name a path beside it, such as "
            f"'{escaped(run, 300)}-exported'."
        )


class TargetUnderAFile(TargetRefused):
    """A path that goes through a file."""

    def __init__(self, path: str, file: str) -> None:
        super().__init__(
            f"'{escaped(path, 300)}' cannot be made: '{escaped(file, 300)}' is a file and no "
            "folder. Name another path."
        )


class TargetIsAFolder(TargetRefused):
    """A file is to be written where a folder is."""

    def __init__(self, path: str, to: str, suffix: str) -> None:
        super().__init__(
            f"'{escaped(path, 300)}' is a folder, and {to} is one file: name the file, such as "
            f"'{escaped(path.rstrip('/'), 300)}/run{suffix}'."
        )


class TargetIsNoFolder(TargetRefused):
    """Files are to be written into what is a file."""

    def __init__(self, path: str, to: str) -> None:
        super().__init__(
            f"'{escaped(path, 300)}' is a file, and {to} is a folder of files: name a folder."
        )


class TargetNamedAsFile(TargetRefused):
    """A folder is to be made whose name ends as that of a file."""

    def __init__(self, path: str, to: str, forms: Iterable[str]) -> None:
        forms_of_it = " or ".join(f"--to {form}" for form in forms)
        hint = f", or add {forms_of_it} if that is meant" if forms_of_it else ""
        super().__init__(
            f"'{escaped(path, 300)}' is the name of a file, and {to} is a folder of files: name a "
            f"folder, such as '{escaped(path.rpartition('.')[0], 300)}'{hint}."
        )


class TargetSuffix(TargetRefused):
    """A file is to be written whose name ends as that of something else."""

    def __init__(self, path: str, to: str, suffixes: Iterable[str]) -> None:
        endings = list(suffixes)
        super().__init__(
            f"The name of '{escaped(path, 300)}' does not end as that of a file of {to} "
            f"({listing(endings)}): name it '{escaped(path.rpartition('.')[0], 300)}{endings[0]}', "
            "or name another form with --to."
        )


class TargetIsTheCorpus(TargetRefused):
    """A file that the run has read would be written over."""

    def __init__(self, path: str, corpus: str) -> None:
        super().__init__(
            f"'{escaped(path, 300)}' is a file of the corpus of this run "
            f"('{escaped(corpus, 300)}') and would be written over. Name another path."
        )


class TargetNotWritable(TargetRefused):
    """A path that the system does not let us write to."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"'{escaped(path, 300)}' cannot be written to ({escaped(reason, 160)}). Name another "
            "path, or change its permissions."
        )


class NotADatabase(OutputError):
    """A file that a database cannot be written into."""

    def __init__(self, path: str, kind: str, reason: str) -> None:
        super().__init__(
            f"'{escaped(path, 300)}' cannot be written to as a {kind} database "
            f"({escaped(reason.splitlines()[0], 160).rstrip('.')}). Name a file that is not there "
            "yet, or close the program that has it open."
        )


class TooManyMetaFields(OutputError):
    """A `meta` whose keys are data."""

    def __init__(self, limit: int, fields: Iterable[str]) -> None:
        names = listing((escaped(name, 40) for name in fields), 4)
        super().__init__(
            f"The meta of the documents has more than {limit} different fields ({names}): they "
            "make no columns. Leave --flatten-meta out; meta is then one column of JSON."
        )


class UploadTooEarly(OutputError):
    """A run that is to be uploaded and has not all of its rows."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"The run in '{escaped(path, 300)}' has not come to its end. The command that began it "
            "goes on with it."
        )


class HubTokenMissing(OutputError):
    """An upload without a token."""

    def __init__(self) -> None:
        super().__init__(
            "There is no token of the Hugging Face hub. Set HF_TOKEN, or type `hf auth login`."
        )


class HubRefused(OutputError):
    """An upload that the hub does not take."""

    retryable = True

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"The data set '{escaped(name, 100)}' was not uploaded: "
            f"{escaped(reason, 300).rstrip('.')}. Check the name (owner/name), the rights of the "
            "token, and the network."
        )


class SheetFull(OutputError):
    """A table of more rows than a sheet of a workbook can have."""

    def __init__(self, table: str, rows: int, limit: int) -> None:
        super().__init__(
            f"The table '{table}' has {counted(rows, 'row')} and a sheet of a workbook has at most "
            f"{limit:,}. Name other tables with --table, or export to parquet or duckdb."
        )


def cells_cut(table: str, cells: int, limit: int) -> str:
    """What is said of a sheet in which texts are not what they were.

    Args:
        table: Its name.
        cells: How many.
        limit: Characters that a cell can hold.
    """
    return (
        f"{table}: {counted(cells, 'text was', 'texts were')} changed for the workbook, which "
        f"holds at most {limit:,} characters a cell and no control characters; the other forms "
        "have them whole."
    )


def spans_left_out(n: int) -> str:
    """How many entities and spans a Doc cannot have, since they cover no whole token."""
    return counted(
        n,
        "entity or span covers no token of its document: it is left out.",
        "entities or spans cover no token of their document: they are left out.",
    )


def answers_left_out_of_squad(n: int) -> str:
    """How many questions SQuAD's form has no place for."""
    reason = counted(
        n,
        "question is left out: it failed, or its answer stands",
        "questions are left out: they failed, or their answer stands",
    )
    return (
        f"{reason} nowhere in the text, and SQuAD knows only pieces of it. The table answers "
        "(--to jsonl) has them all."
    )


def spans_beyond_argilla(n: int) -> str:
    """How many pieces Argilla's server would refuse."""
    return (
        f"{counted(n, 'piece', 'pieces')} of texts with characters beyond U+FFFF, such as emoji, "
        f"{noun_form(n, 'is', 'are')} left out: "
        "Argilla's page counts these twice and its server once, which refuses pieces near the end."
    )
