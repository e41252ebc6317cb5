"""Errors of golden outputs: what cannot be checked, and what is no longer as it was recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nlp_pipeline.errors.base import NlpPipelineError, counted, listing
from nlp_pipeline.errors.escapes import escaped


class GoldenError(NlpPipelineError):
    """A golden output that cannot be recorded or checked."""

    stage = "config"


class GoldenNotFound(GoldenError):
    """A folder that should hold a golden output and does not."""

    def __init__(self, folder: str, command: str) -> None:
        super().__init__(
            f"'{folder}' holds no golden output (there is no golden.json). Record one with "
            f"`{command}`."
        )


class GoldenUnreadable(GoldenError):
    """A file of a golden output that is missing or was damaged, by a merge for example."""

    def __init__(self, file: str, reason: str, command: str = "") -> None:
        remake = f"record it again: `{command}`" if command else "record it again"
        super().__init__(
            f"{file} cannot be read ({reason}). Take it from version control, or {remake}."
        )


class GoldenFormatUnknown(GoldenError):
    """A golden output that another version of this package wrote."""

    def __init__(self, file: str, format_: object, newest: int) -> None:
        super().__init__(
            f"{file} has the format {format_!r} and this version of nlp-pipeline reads {newest}. "
            "Record it again, or use the version that wrote it."
        )


class GoldenFolderInUse(GoldenError):
    """A folder to record into that holds something else."""

    def __init__(self, folder: str, names: Iterable[str]) -> None:
        super().__init__(
            f"'{folder}' is not empty and holds no golden output (it has: {listing(names, 5)}). "
            "Name another folder with -d."
        )


class GoldenNotWritable(GoldenError):
    """A folder to record into that cannot be made or written to."""

    def __init__(self, folder: str, reason: str) -> None:
        super().__init__(
            f"The golden output '{folder}' cannot be written ({reason}). Name another folder with "
            "-d."
        )


class GoldenFromStdin(GoldenError):
    """A corpus from standard input, which nobody could read a second time."""

    def __init__(self) -> None:
        super().__init__(
            "A golden output needs a corpus that can be read again, and '-' is standard input. "
            "Save it to a file and name that."
        )


class GoldenFromUrl(GoldenError):
    """A corpus in a store, or a data set, which a test would depend on."""

    def __init__(self, url: str) -> None:
        super().__init__(
            "A golden output needs a corpus of files that lie beside it, and "
            f"'{escaped(url, 300)}' is none. Save it to a file and name that."
        )


class GoldenPlaceMissing(GoldenError):
    """The folder from which a golden output was recorded is not there."""

    def __init__(self, folder: str, directory: str) -> None:
        super().__init__(
            f"The golden output '{folder}' was recorded from its '{directory}', which is not here. "
            "Its paths are relative to that folder: check it where it lies in the checkout."
        )


class GoldenMadeByTest(GoldenError):
    """A golden output of frames in memory, which only its test can make again."""

    def __init__(self, folder: str, command: str) -> None:
        super().__init__(
            f"'{folder}' was recorded by a test from tables in memory: check it with "
            f"`{command.replace(' --golden-update', '')}`."
        )


class GoldenCorpusChanged(GoldenError):
    """A corpus that is not the one that was recorded."""

    def __init__(
        self, folder: str, recorded: Mapping[str, str], current: Mapping[str, str]
    ) -> None:
        changed = [name for name in recorded if name in current and recorded[name] != current[name]]
        removed = [f"{name} (gone)" for name in recorded if name not in current]
        new = [f"{name} (new)" for name in current if name not in recorded]
        super().__init__(
            f"The corpus of the golden output '{folder}' has changed since it was recorded: "
            f"{listing([*changed, *removed, *new])}. Restore it, or accept the new one with "
            "--update."
        )


class GoldenModelChanged(GoldenError):
    """A model whose files are not those that were recorded."""

    def __init__(self, folder: str, recorded: Sequence[str], current: Sequence[str]) -> None:
        super().__init__(
            f"The model of the golden output '{folder}' has changed since it was recorded: "
            f"{listing(recorded)} → {listing(current)}. Restore it, or accept the new one with "
            "--update."
        )


class InvalidTolerance(GoldenError):
    """A tolerance that is no number of at least 0."""

    def __init__(self, name: str, value: object) -> None:
        super().__init__(f"The tolerance {name}={value!r} must be a number of at least 0.")


class GoldenMismatch(NlpPipelineError):
    """Tables that are not as they were recorded.

    Attributes:
        report: The differences alone, as text.
    """

    def __init__(
        self, folder: str, count: int, report: str, notes: Sequence[str], update: str
    ) -> None:
        self.report = report
        differences = counted(count, "difference")
        lines = [f"{folder} is not as it was recorded: {differences}.", "", report, ""]
        lines += [f"Note: {note}" for note in notes]
        lines += [f"If this is the output that you want, accept it: {update}"]
        super().__init__("\n".join(lines))


def not_portable_here(recorded: str, current: str) -> str:
    """Said of a golden output that was recorded elsewhere and may differ for that alone."""
    return (
        "this golden output is not portable (its model does not compute in float64), and it was "
        f"recorded on another platform, so rounding alone may explain this. Then: {recorded}. "
        f"Here: {current}."
    )


def made_with_others(recorded: str, current: str) -> str:
    """Said where packages or spaCy pipelines have other versions than at the recording."""
    return f"it was recorded with {recorded}; here there is {current}."
