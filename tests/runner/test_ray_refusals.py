"""What is refused of a cluster, without Ray: a module of its name stands in for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nlp_pipeline import run
from nlp_pipeline.errors.cluster import (
    ActorsMissing,
    ClientAddress,
    ClusterUnreachable,
    DriverGone,
    ObjectStoreFull,
    RayMissing,
    RayUnderTorchrun,
)
from nlp_pipeline.runner.executors import ray as ray_executor
from nlp_pipeline.runner.executors import ray_cluster
from nlp_pipeline.runner.executors.actor_pool import ActorPool, ActorSlot
from nlp_pipeline.runner.executors.part_actor import _FencedParts
from nlp_pipeline.runner.executors.placement import ActorPlacement
from nlp_pipeline.runner.executors.unit import WorkUnit
from nlp_pipeline.runner.request import ClusterOptions


class Errors:
    """As `ray.exceptions`."""

    class RayActorError(Exception): ...

    class WorkerCrashedError(Exception): ...

    class ObjectStoreFullError(Exception): ...

    class OutOfDiskError(Exception): ...


class StandIn(ModuleType):
    """A Ray that is not connected, and whose replies are errors."""

    exceptions = Errors

    def __init__(self) -> None:
        super().__init__("ray")
        self.killed: list[Any] = []
        self.addresses: list[Any] = []

    def is_initialized(self) -> bool:
        return False

    def init(self, address: object = None, **_: object) -> None:
        self.addresses.append(address)
        raise ConnectionError("nobody is there")

    def get(self, error: Exception) -> None:
        raise error

    def remote(self, **_: object) -> Callable[[type], Any]:
        return lambda kind: Actors()

    def kill(self, handle: object) -> None:
        self.killed.append(handle)


class FullSlot(ActorSlot):
    """An actor whose unit has no place in the object store."""

    def give(self, unit: WorkUnit, *, alone: bool = False) -> None:
        raise self.handle


class Actors:
    def remote(self, job: object) -> object:
        return job


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    module = StandIn()
    monkeypatch.setitem(sys.modules, "ray", module)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return module


def connect(address: str | None = None) -> str:
    """What is said where no cluster can be had."""
    with (
        pytest.raises((RayMissing, ClientAddress, ClusterUnreachable)) as raised,
        ray_cluster.connected(ClusterOptions(address=address)),
    ):
        raise AssertionError
    return str(raised.value)


def test_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert connect() == (
        "--executor ray needs a package that is not installed: type `pip install 'ray>=2.40,<3'`, "
        "on every machine of the cluster."
    )


def test_an_address_of_ray_client(stand_in: StandIn) -> None:
    assert connect("ray://head:10001") == (
        "The address 'ray://head:10001' is that of Ray Client. Start the run on a machine of the "
        "cluster, with --address auto, or as a job of it."
    )


@pytest.mark.parametrize(
    "error", [subprocess.TimeoutExpired("x", 20), subprocess.CalledProcessError(1, "x"), None]
)
def test_an_address_that_does_not_answer(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    def answer(*_: object, **__: object) -> None:
        if error is not None:  # None: healthy, and gone a moment later
            raise error

    monkeypatch.setattr(subprocess, "run", answer)
    assert connect("10.0.0.9:6379") == (
        "No Ray cluster answers at '10.0.0.9:6379' (tried for 20 seconds). Look with `ray status`, "
        "or leave --address out: Ray is then started on this machine."
    )


def test_without_an_address_a_ray_of_its_own_is_started(stand_in: StandIn) -> None:
    with pytest.raises(ConnectionError):
        connect()
    assert stand_in.addresses == ["local"]


def test_no_cluster_that_could_be_found_by_itself(stand_in: StandIn) -> None:
    assert connect("auto").startswith("No Ray cluster answers at 'auto' (tried for 20 seconds).")


def test_torchrun_and_ray(
    tmp_path: Path,
    quick: Callable[..., str],
    corpus: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray_executor, "launched", lambda: True)
    with pytest.raises(RayUnderTorchrun) as raised:
        run(corpus("One."), tmp_path / "out", pipeline=quick(), executor="ray")
    assert str(raised.value) == (
        "--executor ray starts its own processes: start it without torchrun. Several GPUs share a "
        "model with --gpus-per-actor."
    )


def test_an_object_store_that_is_full(stand_in: StandIn) -> None:
    job: Any = object()
    unit: Any = object()
    pool = ActorPool(job, ActorPlacement(1, 0, 1))
    for error in (Errors.ObjectStoreFullError(), Errors.OutOfDiskError()):
        with pytest.raises(ObjectStoreFull):
            pool.give(FullSlot(error), unit, safe=12)
        with pytest.raises(ObjectStoreFull) as raised:
            pool.message(error, safe=12)
        assert raised.value.exit_code == 28
    assert str(raised.value) == (
        "Ray's object store is full, or the disk that it spills to. 12 documents are safe. Make "
        "room and run the same command again: it goes on after them."
    )
    for death in (Errors.RayActorError(), Errors.WorkerCrashedError()):
        assert pool.message(death, safe=12) is None
    pool.close()
    assert stand_in.killed == [job]


def test_actors_that_do_not_start() -> None:
    assert str(ActorsMissing(1, 4, 1800.0)) == (
        "Only 1 of 4 actors could be started in 1800 seconds: machines are missing or others hold "
        "what they ask for. What is done is safe; look with `ray status`, and type the same "
        "command again."
    )


def test_an_actor_whose_run_has_another_driver(tmp_path: Path) -> None:
    parts = _FencedParts(tmp_path, "parquet", fence=tmp_path / ".driver.tmp-7")
    with pytest.raises(DriverGone) as raised:
        parts.write_part(0, {})
    assert str(raised.value) == (
        f"The run in '{tmp_path}' is no longer that of this actor, which writes nothing any more."
    )
    assert not (tmp_path / "_wip").exists()
