"""A piece of work under torchrun: rank 0 does it, the other ranks compute along.

Rank 0 alone reads, prompts and writes. It tells the others what it does with its Llamas: which it
loads, which requests it submits, when it takes a step. They do the same with theirs, so that all
meet in the products that the ranks share. Nothing else has to be the same on every rank, and what
goes on between two steps (a resume, a document that fails) is no business of theirs.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from nlp_pipeline.errors.parallel import LeaderStopped, RankLost

if TYPE_CHECKING:
    from nlp_pipeline.generation.distributed.process_group import World
    from nlp_pipeline.generation.interface import Completion, GenerationRequest, Session
    from nlp_pipeline.generation.settings import LlamaSettings

_Result = TypeVar("_Result")

_current: list[Rank0] = []


class RankGenerator(Protocol):
    """What the other ranks need of a generator."""

    def load(self) -> None:
        """Loads the model, with all ranks."""
        ...

    def session(self) -> Session:
        """Opens a stream of requests."""
        ...


def needs_rank0() -> bool:
    """Whether torchrun has started several processes and none of them does a piece of work yet."""
    from nlp_pipeline.generation.distributed.process_group import world_size

    return world_size() > 1 and not _current


def run_on_rank0(
    size: int | None,
    device: str,
    work: Callable[[], _Result],
    *,
    generator: Callable[[LlamaSettings], RankGenerator],
) -> _Result:
    """Does the work on rank 0, with the help of the others where there are any.

    Args:
        size: `tensor_parallel_size`.
        device: As the generators name it.
        work: What may use `LlamaGenerator`s. Called on rank 0 only.
        generator: Makes on the other ranks the generator that rank 0 has.

    Returns:
        What the work returned, on every rank.

    Raises:
        LeaderStopped: On the other ranks, where the work raised an exception on rank 0.
        RankLost: A rank died or no longer answers.
        ModelError: The ranks cannot work together.
    """
    from nlp_pipeline.generation.distributed.process_group import is_main, join

    if not needs_rank0():  # alone, or a part of the work comes here again
        return work()
    if not is_main():
        with no_interrupts():
            mirrored_result: _Result = _follow(join(size, device), generator)
        return mirrored_result
    rank0 = Rank0(lambda: join(size, device))
    _current.append(rank0)
    try:
        result = work()
    except BaseException as error:
        rank0.stop(error)
        raise
    else:
        rank0.end(result)
        return result
    finally:
        _current.remove(rank0)


def broadcast(verb: str, *details: Any) -> AbstractContextManager[None]:
    """While the block runs, the other ranks do as the order says, where there are any."""
    return _current[-1].broadcast(verb, *details) if _current else nullcontext()


def mirrored(settings: LlamaSettings, session: Session) -> Session:
    """The session, and on the other ranks one that does the same."""
    return _current[-1].open(settings, session) if _current else session


class Rank0:
    """What rank 0 tells the others. Made by `run_on_rank0`.

    Args:
        join: Joins the other ranks; called when there is something to tell.
    """

    def __init__(self, join: Callable[[], World]) -> None:
        self._join = join
        self._orders: list[tuple[Any, ...]] = []
        self._opened = 0
        self._joined = self._busy = False

    def tell(self, verb: str, *details: Any) -> None:
        """Notes an order, to be sent with the next that cannot wait."""
        self._orders.append((verb, *details))

    @contextmanager
    def broadcast(self, verb: str, *details: Any) -> Iterator[None]:
        """Sends an order, and what was noted before; its block is what this rank does of it."""
        self._busy = True  # and stays so where the block fails: the others are in the middle of it
        self.tell(verb, *details)
        self._send()
        yield
        self._busy = False

    def open(self, settings: LlamaSettings, session: Session) -> Session:
        """A session of every rank."""
        self._opened += 1
        self.tell("open", self._opened, settings)
        return _MirroredSession(self, self._opened, session)

    def end(self, result: Any) -> None:
        """The work is done: the others return the result too."""
        self.tell("end", result)
        self._send()

    def stop(self, error: BaseException) -> None:
        """The work failed. Ranks that are in the middle of a step notice when this one is gone."""
        if self._joined and not self._busy and not isinstance(error, RankLost):
            self.tell("stop", type(error).__name__)
            self._send()

    def _send(self) -> None:
        world, self._joined = self._join(), True
        orders, self._orders = self._orders, []
        world.from_main(orders)


class _MirroredSession:
    """A session of rank 0 whose calls the other ranks repeat. See `interface.Session`."""

    def __init__(self, rank0: Rank0, number: int, session: Session) -> None:
        self._rank0, self._number, self._session = rank0, number, session

    @property
    def room(self) -> int:
        return self._session.room

    @property
    def running(self) -> int:
        return self._session.running

    def submit(self, request: GenerationRequest) -> None:
        self._rank0.tell("submit", self._number, request)
        self._session.submit(request)

    def step(self) -> list[Completion]:
        with self._rank0.broadcast("step", self._number):
            return self._session.step()

    def close(self) -> None:
        self._rank0.tell("close", self._number)
        self._session.close()


def _follow(world: World, generator: Callable[[LlamaSettings], RankGenerator]) -> Any:
    """On the other ranks: does what rank 0 says, until it says that it is done."""
    sessions: dict[int, Session] = {}
    while True:
        for verb, subject, *more in world.from_main():
            if verb == "end":
                return subject
            if verb == "stop":
                raise LeaderStopped(subject)
            if verb == "load":
                generator(subject).load()
            elif verb == "open":
                sessions[subject] = generator(*more).session()
            elif verb == "submit":
                sessions[subject].submit(*more)
            elif verb == "step":
                sessions[subject].step()
            else:
                sessions.pop(subject).close()


@contextmanager
def no_interrupts() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal; it is for rank 0 to obey."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
