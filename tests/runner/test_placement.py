"""How many actors there are, and what each has."""

from __future__ import annotations

import pytest

from nlp_pipeline.errors.cluster import TooFewCpus, TooFewGpus
from nlp_pipeline.runner.executors.placement import ActorPlacement, Machine, place_actors
from nlp_pipeline.runner.request import ClusterOptions

CPU_NODES = [Machine(16, 0), Machine(8, 0)]
GPU_NODES = [Machine(64, 8), Machine(64, 8), Machine(32, 0)]


@pytest.mark.parametrize(
    ("options", "machines", "expected"),
    [
        (ClusterOptions(), CPU_NODES, ActorPlacement(2, 0, 7)),
        (ClusterOptions(), [Machine(1, 0)], ActorPlacement(1, 0, 1)),
        (ClusterOptions(), GPU_NODES, ActorPlacement(16, 1, 7)),
        (ClusterOptions(gpus_per_actor=4), GPU_NODES, ActorPlacement(4, 4, 31)),
        (ClusterOptions(gpus_per_actor=0), GPU_NODES, ActorPlacement(3, 0, 31)),
        (ClusterOptions(actors=3), GPU_NODES, ActorPlacement(3, 1, 7)),
        (ClusterOptions(actors=4, cpus_per_actor=2), CPU_NODES, ActorPlacement(4, 0, 2)),
        (ClusterOptions(actors=4), CPU_NODES, ActorPlacement(4, 0, 3)),
    ],
)
def test_one_actor_a_gpu_else_one_a_machine(options, machines, expected) -> None:
    assert place_actors(options, machines, on_cpu=False) == expected


def test_a_model_on_the_cpu_takes_no_gpu() -> None:
    assert place_actors(ClusterOptions(), GPU_NODES, on_cpu=True) == ActorPlacement(3, 0, 31)


@pytest.mark.parametrize(
    ("options", "machines", "message"),
    [
        (
            ClusterOptions(actors=17),
            GPU_NODES,
            "17 actors with 1 GPU each do not fit on 3 machines with 16 GPUs in all. Ask for fewer "
            "with --actors or --gpus-per-actor.",
        ),
        (
            ClusterOptions(actors=1, gpus_per_actor=2),
            [Machine(4, 1)],
            "1 actor with 2 GPUs each do not fit on 1 machine with 1 GPU in all. Ask for fewer "
            "with --actors or --gpus-per-actor.",
        ),
    ],
)
def test_fewer_gpus_than_asked_for(options, machines, message) -> None:
    with pytest.raises(TooFewGpus) as raised:
        place_actors(options, machines, on_cpu=False)
    assert str(raised.value) == message


def test_a_gpu_of_which_there_is_none() -> None:
    with pytest.raises(TooFewGpus):
        place_actors(ClusterOptions(gpus_per_actor=1), CPU_NODES, on_cpu=False)


def test_a_head_without_cpus_gets_no_actor() -> None:
    machines = [Machine(0, 0), *CPU_NODES]
    assert place_actors(ClusterOptions(), machines, on_cpu=False) == ActorPlacement(2, 0, 7)
    with pytest.raises(TooFewCpus, match="1 actor with 1 CPU each do not fit on 0 machines"):
        place_actors(ClusterOptions(), machines[:1], on_cpu=False)


def test_fewer_cpus_than_asked_for() -> None:
    with pytest.raises(TooFewCpus) as raised:
        place_actors(ClusterOptions(actors=30), CPU_NODES, on_cpu=False)
    assert str(raised.value) == (
        "30 actors with 1 CPU each do not fit on 2 machines with 24 CPUs in all. Ask for fewer "
        "with --actors or --cpus-per-actor."
    )
