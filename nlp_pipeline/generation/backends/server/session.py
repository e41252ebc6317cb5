"""One caller's stream of requests to a server."""

from __future__ import annotations

import asyncio
import queue

from nlp_pipeline.errors.server import ServerClosed
from nlp_pipeline.generation.backends.server.connection import Connection
from nlp_pipeline.generation.backends.server.loop import cancel
from nlp_pipeline.generation.interface import Completion, GenerationRequest

LOOK_S = 0.5
"""How often a wait looks up: for an interruption, and whether the connection is still there."""


class ServerSession:
    """See `interface.Session`. Requests run on the connection's loop, callers wait here."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._outbox: queue.SimpleQueue[Completion] = queue.SimpleQueue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._running = 0

    @property
    def room(self) -> int:
        """Twice the concurrency may be under way, so that no slot waits for the caller."""
        return max(0, 2 * self._connection.settings.max_concurrency - self._running)

    @property
    def running(self) -> int:
        """Completions still to come."""
        return self._running

    def submit(self, request: GenerationRequest) -> None:
        """Sends a request off, once for each of its samples."""
        for sample in range(request.params.n):
            self._running += 1
            if self._connection.open:
                self._connection.loop.post(self._launch, request, sample)
            else:
                self._outbox.put(Completion.failed(request.id, self._closed(), sample=sample))

    def step(self) -> list[Completion]:
        """Waits for at least one completion, if any is to come, and returns all that are there.

        Raises:
            ServerGone: Nothing but failures for a while.
            ServerKeyRefused: Not one answer, for want of a valid key.
            ServerClosed: The generator was closed.
        """
        if not self._running:
            return []
        completions = [self._next()]
        while not self._outbox.empty():
            completions.append(self._outbox.get())
        self._running -= len(completions)
        if self._connection.failure is not None:
            raise self._connection.failure
        return completions

    def close(self) -> None:
        """Cancels what is running. Safe to call twice."""
        if self._running and self._connection.open:
            # The set is read on the loop, after every launch that was posted before.
            self._connection.loop.run(self._cancel())
        self._running, self._outbox = 0, queue.SimpleQueue()

    def _next(self) -> Completion:
        while True:
            try:
                return self._outbox.get(timeout=LOOK_S)
            except queue.Empty:
                if not self._connection.open:
                    raise self._closed() from None

    def _closed(self) -> ServerClosed:
        return ServerClosed(self._connection.settings.base_url)

    def _launch(self, request: GenerationRequest, sample: int) -> None:
        """On the loop: starts a task and keeps hold of it."""
        task = asyncio.get_running_loop().create_task(self._serve(request, sample))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, request: GenerationRequest, sample: int) -> None:
        self._outbox.put(await self._connection.complete(request, sample))

    async def _cancel(self) -> None:
        await cancel(self._tasks)
