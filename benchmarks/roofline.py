"""What the machine can do at most, measured, and how long a job would take at that.

A phase of a job costs at least `max(FLOPs / rate, bytes / bandwidth)`: the products at the rate
of a large product of the model's dtype, or the reading of what they read at the bandwidth of a
long vector, whichever takes longer, as if the other were hidden behind it. The floor of a job is
that of its prefill plus that of its decode steps, and knows nothing of softmax, norms, sampling,
or Python:

- prefill: every computed prompt token through the layers' weights (2 FLOPs each), its attention to
  the tokens before it, and the output head once a prompt; the weights are read once per forward
  pass of 512 tokens.
- decode: every new token but the first, which comes out of the prefill; a step of all slots reads
  all weights once, and every row its own keys and values.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import torch

PASS = 512
"""Tokens of a prefill pass."""


@dataclass(frozen=True)
class Machine:
    """What was measured, per second of one device.

    Attributes:
        flops: Of a product of 512 rows.
        bandwidth: Bytes read of a vector that no cache holds.
    """

    flops: float
    bandwidth: float


def measure(model: Any) -> Machine:
    """Measures the model's device in its dtype: the best of some, in CPU or device seconds."""
    config = model.config
    like = {"dtype": model.dtype, "device": model.device}
    rows = torch.randn(PASS, config.hidden_size, **like)
    weight = torch.randn(config.hidden_size, config.intermediate_size, **like)
    flops = 2 * PASS * config.hidden_size * config.intermediate_size
    vector = torch.ones(2**26 if model.device.type == "cpu" else 2**30, **like)
    return Machine(
        10 * flops / _best(lambda: [rows @ weight for _ in range(10)], model.device),
        vector.nbytes / _best(vector.sum, model.device),
    )


def _best(work: Any, device: torch.device) -> float:
    """Seconds of the fastest of 15 runs."""
    best = math.inf
    for _ in range(15):
        before = clock(device)
        work()
        best = min(best, clock(device) - before)
    return best


def clock(device: torch.device) -> float:
    """CPU seconds of this process; for a GPU wall seconds, when its work is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


@dataclass(frozen=True)
class Work:
    """What a model has to compute and to read."""

    layers: int
    """Weights of the decoder layers."""
    head: int
    """Weights of the output head."""
    per_pair: int
    """FLOPs of attention for a token and one before it, over all layers."""
    kv_bytes: int
    """Of the keys and values of a token, over all layers."""
    itemsize: int

    @classmethod
    def of(cls, model: Any) -> Work:
        """Counts a model's."""
        config = model.config
        width = getattr(config, "head_dim", None)
        width = width or config.hidden_size // config.num_attention_heads
        return cls(
            layers=sum(p.numel() for p in model.get_decoder().layers.parameters()),
            head=model.get_output_embeddings().weight.numel(),
            per_pair=4 * config.num_hidden_layers * config.num_attention_heads * width,
            kv_bytes=2 * config.num_hidden_layers * config.num_key_value_heads * width
            * model.dtype.itemsize,
            itemsize=model.dtype.itemsize,
        )  # fmt: skip

    def prefill(self, prompts: list[int], computed: int, machine: Machine) -> float:
        """Seconds for prompts of these lengths, of which so many tokens in all are computed."""
        share = computed / sum(prompts)
        pairs = share * sum(length * (length + 1) / 2 for length in prompts)
        flops = 2 * self.layers * computed + self.per_pair * pairs + 2 * self.head * len(prompts)
        read = math.ceil(computed / PASS) * self.layers + self.head
        return max(flops / machine.flops, read * self.itemsize / machine.bandwidth)

    def decode(self, rows: list[tuple[int, int]], slots: int, machine: Machine) -> float:
        """Seconds for completions of (prompt length, new tokens), `slots` of them at a time."""
        steps = [(length, new - 1) for length, new in rows if new > 1]
        tokens = sum(new for _, new in steps)
        met = sum(new * length + new * (new + 1) / 2 for length, new in steps)
        flops = 2 * (self.layers + self.head) * tokens + self.per_pair * met
        passes = max(math.ceil(tokens / slots), max((new for _, new in steps), default=0))
        read = passes * (self.layers + self.head) * self.itemsize + met * self.kv_bytes
        return max(flops / machine.flops, read / machine.bandwidth)
