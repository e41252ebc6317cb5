"""The block tables of all running sequences, on the host and on the device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nlp_pipeline.generation.engine.kv_cache.pages import SCRATCH
from nlp_pipeline.generation.engine.transfer import send, upload


class TablePair:
    """One row of page ids per sequence. The device's copy never moves, so graphs can read it.

    Args:
        rows: Sequences that run together. One more row stays empty, for padding.
        blocks: Pages of the longest sequence.
        device: Where attention is computed.

    Attributes:
        host: Shape (rows + 1, blocks).
        device: The same, as of the last `update`.
        padding_row: The row that stays empty.
    """

    def __init__(self, rows: int, blocks: int, device: torch.device) -> None:
        self.host = np.full((rows + 1, blocks), SCRATCH, dtype=np.int32)
        self.device: Tensor = torch.full((rows + 1, blocks), SCRATCH, dtype=torch.int32).to(device)
        self.padding_row = rows
        self._free = list(range(rows - 1, -1, -1))
        self._changed: dict[int, None] = {}

    def take_row(self) -> int:
        """A row that no sequence has."""
        return self._free.pop()

    def give_back(self, row: int) -> None:
        """Nobody has this row any more; what stands in it is read by nobody."""
        self._changed.pop(row, None)
        self._free.append(row)

    def write(self, row: int, page_ids: list[int]) -> None:
        """Sets the pages of a sequence, on the host for now."""
        self.host[row, : len(page_ids)] = page_ids
        self._changed[row] = None

    def update(self) -> None:
        """Sends what has changed to the device, behind all that has been launched there."""
        if not self._changed:
            return
        rows, self._changed = list(self._changed), {}
        changed = torch.from_numpy(self.host[rows])
        device = self.device.device
        if device.type == "cuda":
            changed = changed.pin_memory()
        self.device.index_copy_(0, upload(rows, device), send(changed, device))
