"""Errors of a run that is computed by the actors of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nlp_pipeline.errors.base import NlpPipelineError, counted, did_you_mean, listing
from nlp_pipeline.errors.escapes import escaped
from nlp_pipeline.errors.packages import pip_install


class ClusterError(NlpPipelineError):
    """A cluster that cannot be used, or not any longer."""


class UnknownExecutor(ClusterError):
    """An executor that there is none of."""

    stage = "config"

    def __init__(self, name: object, choices: Iterable[str]) -> None:
        names = list(choices)
        super().__init__(
            f"executor (--executor) is {escaped(repr(name), 40)}; the executors are: "
            f"{listing(names)}.{did_you_mean(str(name), names)}"
        )


class OptionNeedsRay(ClusterError):
    """An option of the executor `ray` in a run by another."""

    stage = "config"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} (--{name.replace('_', '-')}) means nothing without Ray: add --executor ray, "
            "or leave it out."
        )


class RayMissing(ClusterError):
    """The executor `ray` without the package."""

    stage = "config"

    def __init__(self) -> None:
        super().__init__(
            f"--executor ray needs a package that is not installed: type `{pip_install('ray')}`, "
            "on every machine of the cluster."
        )


class RayUnderTorchrun(ClusterError):
    """The executor `ray` in processes that torchrun started."""

    stage = "config"

    def __init__(self) -> None:
        super().__init__(
            "--executor ray starts its own processes: start it without torchrun. Several GPUs "
            "share a model with --gpus-per-actor."
        )


class ClientAddress(ClusterError):
    """An address of Ray Client, through which no part could be moved into its place."""

    stage = "config"

    def __init__(self, address: str) -> None:
        super().__init__(
            f"The address '{escaped(address, 100)}' is that of Ray Client. Start the run on a "
            "machine of the cluster, with --address auto, or as a job of it."
        )


class ClusterUnreachable(ClusterError):
    """An address at which no Ray answers."""

    def __init__(self, address: str, seconds: float) -> None:
        super().__init__(
            f"No Ray cluster answers at '{escaped(address, 100)}' (tried for {seconds:g} seconds). "
            "Look with `ray status`, or leave --address out: Ray is then started on this machine."
        )


class TooFewGpus(ClusterError):
    """More GPUs asked for than the cluster has."""

    stage = "config"

    def __init__(self, actors: int, gpus: int, available: int, *, machines: int) -> None:
        super().__init__(
            f"{counted(actors, 'actor')} with {counted(gpus, 'GPU')} each do not "
            f"fit on {counted(machines, 'machine')} with {counted(available, 'GPU')} in all. Ask "
            "for fewer with --actors or --gpus-per-actor."
        )


class TooFewCpus(ClusterError):
    """More CPUs asked for than the cluster has."""

    stage = "config"

    def __init__(self, actors: int, cpus: int, available: int, *, machines: int) -> None:
        super().__init__(
            f"{counted(actors, 'actor')} with {counted(cpus, 'CPU')} each do not "
            f"fit on {counted(machines, 'machine')} with {counted(available, 'CPU')} in all. Ask "
            "for fewer with --actors or --cpus-per-actor."
        )


class FolderNotShared(ClusterError):
    """A run folder that a node does not see."""

    def __init__(self, path: str, node: str) -> None:
        super().__init__(
            f"The node {escaped(node, 100)} does not see the run folder '{escaped(path, 200)}' of "
            "this machine. Name with --out a folder on a file system that all machines share, "
            "such as NFS or Lustre, under the same path everywhere."
        )


class DriverGone(ClusterError):
    """An actor whose run has ended, or has begun anew."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"The run in '{escaped(path, 200)}' is no longer that of this actor, which writes "
            "nothing any more."
        )


class NodesDiffer(ClusterError):
    """Nodes that would make different rows of the same document."""

    exit_code = 65

    def __init__(
        self, node: str, second_node: str, differences: Mapping[str, tuple[Any, Any]]
    ) -> None:
        lines = "".join(
            f"\n  {escaped(name, 200)}: {escaped(str(old), 80)} → {escaped(str(new), 80)}"
            for name, (old, new) in differences.items()
        )
        super().__init__(
            f"The nodes do not have the same: {escaped(node, 100)} → "
            f"{escaped(second_node, 100)}:{lines}"
            "\nInstall the same packages and models on all of them."
        )


class NodeFailed(ClusterError):
    """An actor that cannot load what it needs, or cannot go on."""

    def __init__(self, node: str, message: str) -> None:
        super().__init__(f"On the node {escaped(node, 100)}: {message}")


class ActorsMissing(ClusterError):
    """Actors that do not start within the time limit."""

    def __init__(self, ready: int, actors: int, seconds: float) -> None:
        super().__init__(
            f"Only {ready} of {counted(actors, 'actor')} could be started in {seconds:g} seconds: "
            "machines are missing or others hold what they ask for. What is done is safe; look "
            "with `ray status`, and type the same command again."
        )


class UnitFailed(ClusterError):
    """A part on which actors die whatever is left out of it."""

    def __init__(self, part: int, crashes: int, reason: str) -> None:
        super().__init__(
            f"Part {part} has ended its actor {counted(crashes, 'time')} ({escaped(reason, 200)}), "
            "and no document of it alone does. What is done is safe. See the logs of the actors in "
            "Ray's session folder."
        )


class ObjectStoreFull(ClusterError):
    """Ray's own memory, or the disk behind it, is full."""

    exit_code = 28
    retryable = True

    def __init__(self, safe: int) -> None:
        super().__init__(
            "Ray's object store is full, or the disk that it spills to. "
            f"{counted(safe, 'document is', 'documents are')} safe. Make room and run the same "
            "command again: it goes on after them."
        )


class ActorDied(ClusterError):
    """A document on which an actor died, after it was tried by itself."""

    stage = "annotate"

    def __init__(self, document_id: str) -> None:
        super().__init__(
            f"The actor died on document '{escaped(document_id)}', tried by itself (out of memory, "
            "or a crash in a library). Its text may be too long for the pipeline."
        )


class ActorStalled(ClusterError):
    """A document that an actor was not done with in time, tried by itself."""

    stage = "annotate"
    retryable = True

    def __init__(self, document_id: str, seconds: float) -> None:
        super().__init__(
            f"The actor was not done with document '{escaped(document_id)}' in {seconds:g} seconds "
            "and was ended. Give it more with --unit-timeout, or find the component that goes on "
            "for ever."
        )


class ObjectStorePath(ClusterError):
    """An object store as the folder of a run."""

    stage = "config"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"'{escaped(path, 200)}' is an object store, in which no file can be locked, renamed "
            "or appended to. Name with --out a folder of a file system, for several machines one "
            "that they share (NFS, Lustre), and copy the finished run."
        )
