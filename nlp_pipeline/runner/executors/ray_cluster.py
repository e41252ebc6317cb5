"""A connection to a Ray cluster, or a Ray that is started on this machine."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from nlp_pipeline.errors.cluster import ClientAddress, ClusterUnreachable, RayMissing
from nlp_pipeline.runner.executors.placement import Machine
from nlp_pipeline.runner.request import ClusterOptions

ADDRESS_TIMEOUT_S = 20.0
"""What a cluster has to answer in."""

_HEALTH_CHECK = "from ray.scripts.scripts import main; main()"


def require_ray() -> None:
    """Checks that the package is there.

    Raises:
        RayMissing: It is not.
    """
    try:
        import ray  # noqa: F401
    except ImportError:
        raise RayMissing from None


@contextmanager
def connected(options: ClusterOptions) -> Iterator[list[Machine]]:
    """Connects, and yields what machines there are; disconnects at the end.

    Raises:
        RayMissing: The package is not installed.
        ClientAddress: The address is that of Ray Client.
        ClusterUnreachable: Nothing answers there in time.
    """
    require_ray()
    # Nobody is told what runs here.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    address = options.address or os.environ.get("RAY_ADDRESS")
    if ray.is_initialized():  # whoever calls from Python has a connection
        yield _machines()
        return
    if address is None:
        _start(options)
    else:
        _connect(address)
    try:
        yield _machines()
    finally:
        ray.shutdown()


def _connect(address: str) -> None:
    import ray

    if "://" in address:
        raise ClientAddress(address)
    if address not in ("auto", "local"):
        _check_health(address)
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterUnreachable(address, ADDRESS_TIMEOUT_S) from error


def _start(options: ClusterOptions) -> None:
    """Starts Ray on this machine, which may have more actors than CPUs if that is asked for."""
    import ray

    cpus = os.cpu_count() or 1
    asked_for = (options.actors or 1) * (options.cpus_per_actor or 1)
    ray.init(
        "local",  # and none that happens to run here for somebody else
        num_cpus=max(cpus, asked_for + 1),
        include_dashboard=False,
        logging_level=logging.ERROR,
        log_to_driver=False,
    )


def _check_health(address: str) -> None:
    """Asks in a process of its own, for Ray itself waits for minutes where nobody answers."""
    command = [sys.executable, "-c", _HEALTH_CHECK, "health-check", "--address", address]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=ADDRESS_TIMEOUT_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise ClusterUnreachable(address, ADDRESS_TIMEOUT_S) from error


def _machines() -> list[Machine]:
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Machine(int(n.get("CPU", 0)), int(n.get("GPU", 0))) for n in nodes]
