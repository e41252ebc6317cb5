"""Continuous batching: sequences come and go while one packed forward pass follows the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nlp_pipeline.generation.devices import step_limits
from nlp_pipeline.generation.engine.async_runner import AsyncRunner
from nlp_pipeline.generation.engine.attention.bodies import AttentionBody, choose_body
from nlp_pipeline.generation.engine.cuda_graphs import DecodeGraphs
from nlp_pipeline.generation.engine.fused_decoder import FusedDecoder, can_fuse
from nlp_pipeline.generation.engine.graph_capture import Capture
from nlp_pipeline.generation.engine.hf_attention import HFDecoder, LayerShape, layer_shapes
from nlp_pipeline.generation.engine.kv_cache.kv_protocols import KVCache
from nlp_pipeline.generation.engine.kv_cache.memory import kv_tokens_that_fit
from nlp_pipeline.generation.engine.kv_cache.paged_cache import PagedCache
from nlp_pipeline.generation.engine.kv_cache.slot_cache import SlotCache
from nlp_pipeline.generation.engine.kv_cache.slot_pool import SlotPool
from nlp_pipeline.generation.engine.model_runner import ModelRunner
from nlp_pipeline.generation.engine.output_head import head_of
from nlp_pipeline.generation.engine.scheduler import Limits, Scheduler
from nlp_pipeline.generation.engine.weight_layout import WeightMemory, store_weights_by_columns
from nlp_pipeline.generation.sequence import Sequence

BURST = 8
"""On a device with graphs, sequences start when one in so many rows is free: the steps between
are decode steps, which are replayed."""


class Engine:
    """An `Executor` over an unmodified `transformers` model.

    Prompts are computed in chunks, packed without padding in the same forward pass as one token
    of every decoding sequence; a place is filled again the moment its sequence ends; common
    prefixes are computed once.

    What is guaranteed: the token that a sequence gets depends on its own tokens, parameters and
    seed, not on which others run beside it, in which order, slot or chunks they are computed,
    nor on shared prefixes, recording or looking ahead, as far as rounding allows. The same numbers
    are multiplied and added in every case, but a matrix product of another height may add them in
    another order, which changes logits by about 1e-6 of their size in float32. A greedy choice can
    differ only where the two best logits are that close. In float64 no such tie is known to have
    happened; in float32 none did over the project's test prompts; in bfloat16 ties are ordinary.

    Args:
        model: A causal language model that `supports` accepts, on its device.
        eos_token_ids: Tokens that end a sequence.
        token_bytes: The bytes a token stands for, to find stop strings with.
        max_batch_size: Sequences that run together; by default what suits the device.
        max_batched_tokens: Tokens in one forward pass; by default what suits the device.
        max_seq_len: Tokens of prompt and completion together; the model's own by default.
        kv_cache_tokens: Tokens whose keys and values are kept at most, over all sequences and
            the prefix cache; by default what the device has room for. No sequence can be longer.
        prefix_caching: Share the common prefixes of sequences.
        agree: Of what this process has room for, what all that share the model have room for;
            they must schedule alike.
        lookahead: Launch a step before the tokens of the last one are read; see `AsyncRunner`.
        capture: Records decode steps, to replay them; see `DecodeGraphs`. Needs pages.
        paged: Keep keys and values in pages; None does on CUDA. Else they are in slots of slabs.
        fused: Compute the layers in fewer operations where the model is of a kind that allows it;
            None does. Its modules share their weights with these operations.
        body: What computes attention over pages; None takes what suits the device.
    """

    def __init__(
        self,
        model: Any,
        *,
        eos_token_ids: frozenset[int],
        token_bytes: Callable[[int], bytes],
        max_batch_size: int | None = None,
        max_batched_tokens: int | None = None,
        max_seq_len: int | None = None,
        kv_cache_tokens: int | None = None,
        prefix_caching: bool = True,
        agree: Callable[[int], int] = int,
        lookahead: bool = False,
        capture: Capture | None = None,
        paged: bool | None = None,
        fused: bool | None = None,
        body: AttentionBody | None = None,
    ) -> None:
        layers = layer_shapes(model)
        device = layers[0].device
        on_cuda = device.type == "cuda"
        paged = on_cuda if paged is None else paged
        steps = step_limits(device, max_batch_size, max_batched_tokens)
        batch = steps.max_batch_size
        weight_memory = WeightMemory()
        decoder: Callable[[Any], Tensor] = HFDecoder(model)
        if can_fuse(model) and fused is not False:
            decoder = FusedDecoder(model, weight_memory)
        store_weights_by_columns(model, weight_memory)  # what has been fused is stored so already
        budget = kv_cache_tokens or agree(kv_tokens_that_fit(layers))
        context = model.config.max_position_embeddings
        longest = min(max_seq_len or context, context, budget)
        cache: KVCache
        if paged:
            pages = _paged_cache(layers, budget, batch, longest, body, prefix_caching)
            cache, longest = pages, agree(pages.max_seq_len)
        else:
            pool = SlotPool(layers, budget, batch)
            cache = SlotCache(pool, longest, sharing=prefix_caching)
        limits = Limits(
            max_batch_size=batch,
            max_batched_tokens=steps.max_batched_tokens,
            max_seq_len=longest,
            eos_token_ids=eos_token_ids,
            token_bytes=token_bytes,
            burst=max(1, batch // BURST) if capture is not None else 1,
        )
        head, graphs = head_of(model), None
        if capture is not None and paged:
            graphs = DecodeGraphs(decoder, head, cache=pages, capture=capture, max_batch_size=batch)
        self._cache = cache
        self._scheduler = Scheduler(limits, cache)
        runner = ModelRunner(
            decoder, head, cache=cache, graphs=graphs, on_out_of_memory=self._scheduler.shrink_steps
        )
        self._runner = AsyncRunner(runner) if lookahead else runner

    @property
    def room(self) -> int:
        """How many more sequences the waiting line takes."""
        return self._scheduler.room

    def add(self, sequence: Sequence) -> None:
        """Puts a sequence in the waiting line; one that can never fit comes back with an error."""
        self._scheduler.add(sequence)

    @torch.inference_mode()
    def cancel(self, sequences: list[Sequence]) -> None:
        """Drops sequences, whether they wait or run."""
        self._runner.settle()
        self._scheduler.cancel(sequences)

    @torch.inference_mode()
    def step(self) -> list[Sequence]:
        """One forward pass; returns the sequences that ended with it."""
        self._runner.run(self._scheduler.schedule())
        return self._scheduler.retire()

    def close(self) -> None:
        """Gives the memory for keys and values back; the engine cannot be used afterwards."""
        self._cache.close()


def _paged_cache(
    layers: list[LayerShape],
    budget: int,
    batch: int,
    longest: int,
    body: AttentionBody | None,
    sharing: bool,
) -> PagedCache:
    # Twice what can run: the rest is for prefixes, or for others on the device.
    return PagedCache(
        layers,
        kv_cache_tokens=min(budget, 2 * batch * longest),
        max_batch_size=batch,
        max_seq_len=longest,
        body=body or choose_body(layers[0]),
        sharing=sharing,
    )
