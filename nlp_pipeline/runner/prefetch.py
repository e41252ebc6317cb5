"""The linguistic pipes run ahead of the generator, in a thread, as far as a bounded line allows.

While the generator waits for its device, or computes without Python, the next documents are
annotated. With worker processes the thread keeps these fed and unpacks what they send.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, Queue
from typing import TypeVar

_Item = TypeVar("_Item")
_POLL_S = 0.05


def prefetch(items: Generator[_Item, None, None], depth: int) -> Generator[_Item, None, None]:
    """The same items in the same order, made up to `depth` ahead of whoever takes them.

    Args:
        items: Runs, and is closed, in a thread of its own.
        depth: Items that wait at most, beside the one in the making.

    Raises:
        BaseException: What `items` raised, after the items before it.
    """
    line: Queue[_Item | _End] = Queue(depth)
    stopped = threading.Event()
    # thinc keeps in a context variable where it computes.
    context = copy_context()
    thread = threading.Thread(
        target=context.run, args=(_fill, items, line, stopped), name="annotate", daemon=True
    )
    thread.start()
    try:
        while not isinstance(item := line.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        while thread.is_alive():
            with suppress(Empty):  # it may be waiting for a place in the line
                line.get(timeout=_POLL_S)


class _End:
    """Marks the end of the stream, or the error that ended it."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def _fill(
    items: Generator[_Item, None, None], line: Queue[_Item | _End], stopped: threading.Event
) -> None:
    error: BaseException | None = None
    try:
        for item in items:
            if stopped.is_set():
                break
            line.put(item)
    except BaseException as raised:  # it belongs to who takes the items
        error = raised
    finally:
        items.close()
        line.put(_End(error))
