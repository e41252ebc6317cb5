"""A CUDA graph on the CPU: what was recorded runs again on the same memory, without the Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

READS_THE_DEVICE = ("aten._local_scalar_dense", "aten.nonzero", "aten.masked_select", "aten.item")
"""What waits for the device, which a capture on CUDA refuses."""


def storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


class Recording(TorchDispatchMode):
    """Notes every operation with the very tensors that it works on, as a capture on CUDA does.

    Values that come from the host (sizes, numbers, lists) are noted as they are and never change
    again; a replay writes every result to where the first one was.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, list[Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(str(func).startswith(name) for name in READS_THE_DEVICE):
            raise RuntimeError(f"{func} during a capture")
        made = func(*args, **(kwargs or {}))
        given = {storage(t) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
        results = [t for t in tree_leaves(made) if isinstance(t, Tensor)]
        if all(storage(t) in given for t in results) and not func._schema.is_mutable:
            return made  # a view of something: it needs no second look
        fresh = [t for t in results if storage(t) not in given]
        self.operations.append((func, args, kwargs or {}, fresh))
        return made

    def replay(self) -> None:
        for func, args, kwargs, held in self.operations:
            given = {storage(t) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
            made = tree_leaves(func(*args, **kwargs))
            fresh = [t for t in made if isinstance(t, Tensor) and storage(t) not in given]
            for tensor, again in zip(held, fresh, strict=True):
                tensor.copy_(again)

    def read_from_outside(self) -> set[int]:
        """Addresses that are read or written and were not made by the recorded operations."""
        outside: set[int] = set()
        inside: set[int] = set()
        for _, args, kwargs, held in self.operations:
            given = {storage(t) for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
            outside |= given - inside
            inside |= {storage(t) for t in held}
        return outside


class Recorder:
    """A `Capture` for tests.

    Attributes:
        recordings: One per capture.
        replays: How often any of them was replayed.
    """

    def __init__(self) -> None:
        self.recordings: list[Recording] = []
        self.replays = 0

    def __call__(self, compute: Callable[[], Tensor]) -> Callable[[], Tensor]:
        compute()  # warm-up
        recording = Recording()
        with recording:
            held = compute()
        held.fill_(float("nan"))  # on CUDA nothing is computed yet
        self.recordings.append(recording)
        return lambda: self._replay(recording, held)

    def _replay(self, recording: Recording, held: Tensor) -> Tensor:
        self.replays += 1
        recording.replay()
        return held


class Failing:
    """A `Capture` that cannot: as where a kernel waits for the host."""

    def __init__(self) -> None:
        self.attempts = 0

    def __call__(self, compute: Callable[[], Tensor]) -> Callable[[], Tensor]:
        compute()
        self.attempts += 1
        raise RuntimeError("operation not permitted\nwhen stream is capturing")
