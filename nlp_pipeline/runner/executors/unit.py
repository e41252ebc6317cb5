"""A unit of work as it goes to an actor, and what comes back. Plain, picklable values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_pipeline.corpus import Record, Reject
from nlp_pipeline.run_folder.receipts import Receipt
from nlp_pipeline.runner.request import RunRequest

if TYPE_CHECKING:
    from confection import Config


@dataclass(frozen=True)
class WorkUnit:
    """A part and its records.

    Attributes:
        number: 0-based number of the part.
        items: All its records, in their order.
        offsets: Places in it of the only records that are to be computed, into the journal; None
            where the part is to be written.
        casualties: By its place, of a record that ends every actor: why it is not tried again.
    """

    number: int
    items: tuple[Record | Reject, ...]
    offsets: tuple[int, ...] | None = None
    casualties: Mapping[int, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class UnitOutcome:
    """What an actor says of a unit.

    Attributes:
        number: Of the part.
        receipt: Of the part, which waits for its place; None where only some records were
            computed, or the unit failed.
        problem: What ended it, for the user.
        exit_code: Of the error that ends the run; None where another actor may do better.
    """

    number: int
    receipt: Receipt | None = None
    problem: str | None = None
    exit_code: int | None = None


@dataclass(frozen=True)
class ActorJob:
    """What an actor is made of.

    Attributes:
        request: The run; its folder is absolute.
        config: The pipeline's resolved config.
        folder: Where paths of the config start from.
        fence: A file in the run's folder that is there as long as this run holds it.
        ranks: Processes that share it.
    """

    request: RunRequest
    config: Config
    folder: str
    fence: Path
    ranks: int = 1


@dataclass(frozen=True)
class ActorDescription:
    """What an actor is, once it has loaded.

    Attributes:
        node: Its machine, for people.
        sees_fence: Whether it sees the run's folder.
        fingerprint: Everything that can change a row there.
        pipes: The names of the pipeline's components.
        units: How many it should have at a time.
        problem: Why it cannot work.
        exit_code: Of the command, where it cannot.
    """

    node: str
    sees_fence: bool = False
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    pipes: tuple[str, ...] = ()
    units: int = 2
    problem: str | None = None
    exit_code: int = 1
