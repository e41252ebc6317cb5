"""The executor `ray`: the parts of a run are computed by the actors of a Ray cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlp_pipeline.errors.cluster import (
    ActorsMissing,
    FolderNotShared,
    NodeFailed,
    NodesDiffer,
    RayUnderTorchrun,
)
from nlp_pipeline.generation.distributed.process_group import launched
from nlp_pipeline.pipeline import shared_place
from nlp_pipeline.run_folder.files import TEMPORARY, disk_errors
from nlp_pipeline.run_folder.resume import differences
from nlp_pipeline.run_folder.writer import RunFolder
from nlp_pipeline.runner.computation import DocumentFigures
from nlp_pipeline.runner.corpus_sample import ReadCorpus
from nlp_pipeline.runner.executors.actor_pool import ActorPool
from nlp_pipeline.runner.executors.executor_base import Report
from nlp_pipeline.runner.executors.part_planner import PartPlanner
from nlp_pipeline.runner.executors.placement import ActorPlacement, place_actors
from nlp_pipeline.runner.executors.ray_cluster import connected
from nlp_pipeline.runner.executors.ray_driver import START_TIMEOUT_S, WAIT_S, RayDriver
from nlp_pipeline.runner.executors.unit import ActorDescription, ActorJob
from nlp_pipeline.runner.manifest import versions
from nlp_pipeline.runner.records import RecordSource
from nlp_pipeline.runner.request import RunRequest

if TYPE_CHECKING:
    from confection import Config


class RayExecutor:
    """Computes with actors, each with a spaCy and a Llama of its own. See `PartExecutor`."""

    @contextmanager
    def start(self, request: RunRequest, config: Config) -> Iterator[_RayRun]:
        """Connects, starts the actors, and waits until they have loaded.

        Raises:
            ClusterError: The cluster cannot be used; the message says why.
        """
        if launched():
            raise RayUnderTorchrun
        with connected(request.cluster) as machines:
            on_cpu = shared_place(config)[1] == "cpu"
            placement = place_actors(request.cluster, machines, on_cpu=on_cpu)
            with _fence(request.out) as fence:
                pool = ActorPool(_job(request, config, fence, placement=placement), placement)
                try:
                    yield _RayRun(request, pool, fence)
                finally:
                    pool.close()


class _RayRun:
    """A pool of actors that have loaded and agree."""

    def __init__(self, request: RunRequest, pool: ActorPool, fence: Path) -> None:
        self._request = request
        self._pool = pool
        self._fence = fence
        self._first: ActorDescription | None = None
        self._wait_for_all()

    @property
    def pipes(self) -> list[str]:
        return list(self._first.pipes) if self._first else []

    @property
    def fingerprint(self) -> dict[str, Any]:
        return dict(self._first.fingerprint) if self._first else {}

    def estimate(self, read: ReadCorpus) -> None:
        """None: how fast the actors are shows when they compute."""
        return

    def compute(
        self, folder: RunFolder, records: RecordSource, report: Report
    ) -> Generator[DocumentFigures, None, None]:
        self._fence.touch()  # whoever opens the folder sweeps it
        driver = RayDriver(
            self._request,
            self._pool,
            folder=folder,
            planner=PartPlanner(folder, records, self._request.part_size),
            welcome=self._welcome,
        )
        yield from driver.drive(report)

    def _wait_for_all(self) -> None:
        """Waits until every actor has loaded.

        Raises:
            ActorsMissing: Some have not in time.
        """
        end = time.monotonic() + START_TIMEOUT_S
        slots = self._pool.slots
        while waiting := [slot for slot in slots if slot.description is None]:
            clock = time.monotonic()
            if clock > end:
                n_ready = len(slots) - len(waiting)
                raise ActorsMissing(n_ready, len(slots), START_TIMEOUT_S)
            for slot in waiting:
                slot.ask(clock)
            for slot, ref in self._pool.wait(WAIT_S):
                description = self._pool.message(ref, safe=0)
                if isinstance(description, ActorDescription):
                    self._welcome(description)
                    slot.begin(description)
                else:
                    slot.expect_description()

    def _welcome(self, description: ActorDescription) -> None:
        """Checks that an actor can work, and would make the same rows as the others.

        Raises:
            NodeFailed: It cannot load what it needs.
            FolderNotShared: It does not see the run's folder.
            NodesDiffer: It has other versions, models or pipelines than another.
        """
        if description.problem is not None:
            raise NodeFailed(description.node, description.problem)
        if not description.sees_fence:
            raise FolderNotShared(str(self._request.out), description.node)
        self._compare("this machine", {"versions": versions()}, description)
        if self._first is None:
            self._first = description
        self._compare(self._first.node, self._first.fingerprint, description)

    def _compare(self, node: str, mark: Mapping[str, Any], description: ActorDescription) -> None:
        same_keys = {name: description.fingerprint.get(name) for name in mark}
        if changes := differences(mark, same_keys):
            raise NodesDiffer(node, description.node, changes)


def _job(
    request: RunRequest, config: Config, fence: Path, *, placement: ActorPlacement
) -> ActorJob:
    n_process = request.n_process
    if n_process is None and placement.gpus and placement.cpus > 1:
        n_process = placement.cpus - 1  # and one for the thread that keeps the GPU busy
    ranks = (
        placement.gpus
        if placement.gpus > 1 and not request.pipeline.overrides.get("device_map")
        else 1
    )
    # What is not the actors' own is left out: they say what they are, and are compared.
    return ActorJob(
        replace(request, out=request.out.resolve(), n_process=n_process),
        config,
        folder=os.getcwd(),
        fence=fence,
        ranks=ranks,
    )


@contextmanager
def _fence(out: Path) -> Iterator[Path]:
    """A file in the run's folder by which actors see that it is shared, and still this run's."""
    path = out.resolve() / f".driver{TEMPORARY}{os.getpid()}"
    has_folder = out.exists()
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        path.touch()
    try:
        yield path
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
            if not has_folder:
                out.rmdir()
