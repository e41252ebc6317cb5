"""Errors of run folders: what is in the way of writing one, and what is missing in one."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from nlp_pipeline.errors.base import NlpPipelineError, counted, did_you_mean, listing
from nlp_pipeline.errors.escapes import escaped


class OutputError(NlpPipelineError):
    """An output folder that cannot be used."""

    stage = "write"


class OutputNotWritable(OutputError):
    """A folder that cannot be made or written to."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"The output folder '{path}' cannot be written to ({reason}). Name another with --out."
        )


class OutputNotARun(OutputError):
    """A folder with something else in it."""

    def __init__(self, path: str, names: Iterable[str]) -> None:
        super().__init__(
            f"The output folder '{path}' is not empty and holds no run (it has: "
            f"{listing(names, 5)}). Name another with --out."
        )


class PartDamaged(OutputError):
    """A finished part that does not hold what its receipt says."""

    def __init__(self, path: str, file: str, expected: str, actual: str) -> None:
        super().__init__(
            f"The part {file} of the run in '{path}' is damaged: its receipt says {expected}, and "
            f"{actual}. Run the same command again: it makes the part anew."
        )


class BlockDamaged(OutputError):
    """A file of many receipts that is not what was written.

    Attributes:
        first: The first part of which it held the receipt.
    """

    def __init__(self, path: str, file: str, first: int) -> None:
        self.first = first
        super().__init__(
            f"The receipts {file} of the run in '{path}' are damaged. Run the same command again: "
            f"it makes the parts from {first} on anew."
        )


class ReceiptDamaged(OutputError):
    """A run of which a receipt is missing or cannot be read: a part would pass for the whole."""

    def __init__(
        self,
        path: str,
        receipt: str,
        problem: str,
        documents: int,
        total: int | None,
        command: Sequence[str] = (),
        corpus: str = "",
    ) -> None:
        n_whole = counted(documents if total is None else total, "document")
        amount = n_whole if total is None else f"{documents:,} of {n_whole}"
        super().__init__(
            f"The run in '{path}' is damaged: its receipt {receipt} {problem}, and what comes "
            f"before it is {amount}. Nothing is shown, for that would look like "
            "all of "
            f"it. To make the rest anew, {_call(command, corpus)}"
        )


class BooksDamaged(OutputError):
    """A file beside the tables of a run that does not say what the tables say."""

    def __init__(self, path: str, file: str, problem: str) -> None:
        super().__init__(
            f"The file {file} of the run in '{path}' is damaged: {problem}. Run the same command "
            "again: it makes it anew."
        )


class RunDamaged(OutputError):
    """All that is damaged in a run."""

    def __init__(
        self, path: str, problems: Sequence[Exception], command: Sequence[str], corpus: str
    ) -> None:
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(
            f"The run in '{path}' is damaged:{lines}\nTo make anew what is damaged, "
            f"{_call(command, corpus)}"
        )


def _call(command: Sequence[str], corpus: str) -> str:
    """How a run is called again: by its command, or from Python."""
    words = [word for word in command if word not in ("--fresh", "--force")]
    if words and words[0] in ("run", "retry"):
        return f"type:\n  {shlex.join(['nlp-pipeline', *words])}"
    return f"call `run` again as before, with the corpus '{escaped(corpus)}'."


class RunNotFound(OutputError):
    """A folder that should hold a run and does not."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"'{path}' holds no run (there is no manifest.json). Name the folder that "
            "`nlp-pipeline run` printed."
        )


class TableNotFound(OutputError):
    """A table name that there is none of."""

    def __init__(self, name: str, choices: Iterable[str]) -> None:
        names = list(choices)
        super().__init__(
            f"There is no table '{name}'; the tables are: {listing(names, 20)}."
            f"{did_you_mean(name, names)}"
        )


class DocumentNotFound(OutputError):
    """A document id that a run has no row of."""

    def __init__(self, document_id: str, path: str) -> None:
        super().__init__(
            f"The run in '{escaped(path, 300)}' has no document '{escaped(document_id)}' (or has "
            "not come to it yet). The ids are in the column document_id of its table documents."
        )


class ColumnNotFound(OutputError):
    """A column name that the table has none of."""

    def __init__(self, table: str, name: str, choices: Iterable[str]) -> None:
        names = list(choices)
        super().__init__(
            f"The table '{table}' has no column '{name}'; it has: {listing(names, 40)}."
            f"{did_you_mean(name, names)}"
        )


class FileChanges(NamedTuple):
    """What has become of the files of a corpus since a run read them.

    Attributes:
        new: Names of files that it has not read.
        missing: Of those that are not there any more.
        changed: Of those that hold something else.
    """

    new: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class DifferentRun(OutputError):
    """The folder holds a run with other inputs or settings."""

    exit_code = 65

    def __init__(
        self,
        path: str,
        differences: Mapping[str, tuple[Any, Any]],
        *,
        is_old: bool = False,
        files: FileChanges | None = None,
    ) -> None:
        lines = "".join(
            f"\n  {escaped(name, 200)}: {' → '.join(_differing_texts(*values))}"
            for name, values in differences.items()
        )
        if is_old:
            lines += "\nIt was begun before answers were kept: it goes on with no other settings."
        advice = "Name another folder with --out, or start over in this one with --fresh."
        if set(differences) == {"schema"} and not is_old:
            advice = (
                "Run the command of the run again: it writes all rows anew and asks nothing anew."
            )
        super().__init__(
            f"The output folder '{path}' holds a different run. What differs (then → now):{lines}"
            f"{_changed_files(files or FileChanges())}\n{advice}"
        )


def _changed_files(files: FileChanges) -> str:
    """What has become of the files, and what would let the run go on, a line each."""
    lines = (
        (files.missing, "Missing files", "Put them back."),
        (
            files.changed,
            "Changed files",
            "Records may change in their places; further ones go into a file of their own.",
        ),
        (files.new, "New files", "They are read after the others and are not what is in the way."),
    )
    return "".join(
        f"\n{title}: {listing((escaped(name, 200) for name in names), 5)}. {step}"
        for names, title, step in lines
        if names
    )


class ComponentCost(NamedTuple):
    """What a component of a run has to compute once its settings are others.

    Attributes:
        computed: So many, or so many at most.
        kept: What it said before and says still.
        unit: What is counted: `answers`, or `documents` where each has one.
        is_most: Whether some of it may turn out to be asked to the letter as before.
    """

    computed: int
    kept: int
    unit: str
    is_most: bool = False


def settings_changed(
    names: Sequence[str], documents: int, costs: Mapping[str, ComponentCost]
) -> str:
    """What a run says beforehand that goes on with other settings.

    Args:
        names: What has changed; nothing where a process before this one said so already.
        documents: Whose rows are made anew.
        costs: What each component has to compute; empty where that is not known.
    """
    change = f" ({listing([escaped(name, 80) for name in names], 4)})" if names else ""
    text = f"The settings are not those of before{change}: "
    text += f"{counted(documents, 'document is', 'documents are')} made anew. "
    counts = [
        f"{escaped(name)}: {'up to ' * cost.is_most}{cost.computed:,} of "
        f"{cost.computed + cost.kept:,} {cost.unit} are computed, {cost.kept:,} kept."
        for name, cost in costs.items()
    ]
    if not costs or any(cost.is_most for cost in costs.values()):
        counts.append("What is asked to the letter as before keeps its answer.")
    return text + " ".join(counts)


class RunLocked(OutputError):
    """Another process is writing to the folder."""

    exit_code = 75

    def __init__(self, path: str, holder: str) -> None:
        super().__init__(
            f"Another run holds the output folder '{path}' ({holder}). Wait for it to end, or "
            "name another folder with --out."
        )


class DiskFull(OutputError):
    """No space is left."""

    exit_code = 28
    retryable = True

    def __init__(self, path: str, safe: int) -> None:
        super().__init__(
            f"The disk that holds '{path}' is full. "
            f"{counted(safe, 'document is', 'documents are')} safe. Make room and run the same "
            "command again: it goes on after them."
        )


def _differing_texts(recorded: Any, current: Any) -> tuple[str, str]:
    """Two values short enough for a line, from about where they begin to differ."""
    old, new = ("(none)" if value is None else str(value) for value in (recorded, current))
    n_common = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
    start = max(0, n_common - 20) if max(len(old), len(new)) > 80 else 0
    mark = "…" if start else ""
    return mark + escaped(old[start:]), mark + escaped(new[start:])


def files_undigested(n: int) -> str:
    """Of how many files of a run nobody knows whether they are what was written."""
    return f"{n:,} of the files " + (
        "has no digest, since it was written before there were any: of it only size and rows were "
        "checked."
        if n == 1
        else "have no digest, since they were written before there were any: of them only size and "
        "rows were checked."
    )
