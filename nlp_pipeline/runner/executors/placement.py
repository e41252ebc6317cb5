"""How many actors, and what each of them gets of the machines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nlp_pipeline.errors.cluster import TooFewCpus, TooFewGpus
from nlp_pipeline.runner.request import ClusterOptions


class Machine(NamedTuple):
    """What a machine of the cluster has."""

    cpus: int
    gpus: int


class ActorPlacement(NamedTuple):
    """How many actors there are, and what each has."""

    actors: int
    gpus: int
    cpus: int


def place_actors(
    options: ClusterOptions, machines: Sequence[Machine], *, on_cpu: bool
) -> ActorPlacement:
    """One actor a GPU, or one a machine where there are none, unless options say otherwise.

    Args:
        options: What was asked for.
        machines: Those of the cluster.
        on_cpu: Whether the model is to compute on CPUs, whatever there is.

    Raises:
        TooFewGpus: They do not fit.
        TooFewCpus: They do not fit.
    """
    machines = [machine for machine in machines if machine.cpus]  # one without is a bare head
    all_gpus = sum(machine.gpus for machine in machines)
    gpus = options.gpus_per_actor
    if gpus is None:
        gpus = 0 if on_cpu or not all_gpus else 1
    room = sum(machine.gpus // gpus for machine in machines) if gpus else len(machines)
    actors = options.actors if options.actors is not None else max(1, room)
    if gpus and actors > room:
        raise TooFewGpus(actors, gpus, all_gpus, machines=len(machines))
    used = [machine for machine in machines if not gpus or machine.gpus >= gpus]
    cpus = options.cpus_per_actor
    if cpus is None:
        # One CPU is left free, for Ray itself and for whoever moves the parts into their places.
        on_machine = [m.gpus // gpus if gpus else -(-actors // len(used)) for m in used]
        shares = [(m.cpus - 1) // n for m, n in zip(used, on_machine, strict=True)]
        cpus = max(1, min(shares, default=1))
    if actors > sum(machine.cpus // cpus for machine in used):
        all_cpus = sum(machine.cpus for machine in used)
        raise TooFewCpus(actors, cpus, all_cpus, machines=len(used))
    return ActorPlacement(actors, gpus, cpus)
