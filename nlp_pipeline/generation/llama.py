"""`Llama.build` and `Llama.generate`: a loaded model that completes prompts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

import torch

from nlp_pipeline.errors.generation import BatchTooLarge, NoModelGiven
from nlp_pipeline.generation.chat import Chat, Prompt
from nlp_pipeline.generation.devices import StepLimits, fitting, step_limits
from nlp_pipeline.generation.engine import Engine, supports
from nlp_pipeline.generation.fallback.executor import BatchExecutor
from nlp_pipeline.generation.interface import (
    Completion,
    GenerationRequest,
    GeneratorInfo,
    SamplingParams,
    Session,
    generate,
)
from nlp_pipeline.generation.launch_plan import Launching, check_launching, choose_launching
from nlp_pipeline.generation.loading.load import LoadedModel, load
from nlp_pipeline.generation.loading.loaded_pair import loaded_pair
from nlp_pipeline.generation.prompt_encoder import PromptEncoder
from nlp_pipeline.generation.prompt_forms import as_prompts
from nlp_pipeline.generation.sampling_params import MAX_NUM_BEAMS
from nlp_pipeline.generation.sequence import Executor
from nlp_pipeline.generation.session import SessionPool
from nlp_pipeline.generation.settings import LlamaSettings
from nlp_pipeline.generation.template_kwargs import TemplateKwargs
from nlp_pipeline.keywords import known_keywords

LOADED_BACKEND = "nlp_pipeline.loaded.v1"

LOADED_HERE: dict[str, Llama] = {}
"""Llamas of this process that a pipeline's config can name."""


class Llama:
    """A loaded Llama. Made by `Llama.build`, or by `Llama.from_model` of a loaded pair.

    Attributes:
        loaded: The model, its tokenizer and what is known of them.
        encoder: Prompts to ids and back.
        max_seq_len: Tokens of prompt and completion together that fit.
        max_batch_size: Sequences that run together, and the most prompts of one `generate`.
        seed: Used by `generate` where a call gives none.
    """

    obeys_constraints = True

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        max_seq_len: int,
        seed: int,
        max_batch_size: int | None = None,
        max_batched_tokens: int | None = None,
        kv_cache_tokens: int | None = None,
        launching: Launching = Launching(),  # noqa: B008  # frozen
        chat_template_kwargs: Mapping[str, Any] = TemplateKwargs(),
    ) -> None:
        limits = step_limits(loaded.model.device, max_batch_size, max_batched_tokens)
        self.loaded = loaded
        self.encoder = PromptEncoder(loaded.tokenizer, loaded.name, chat_template_kwargs)
        self.max_seq_len = max_seq_len
        self.max_batch_size = limits.max_batch_size
        self.seed = seed
        executor = self._executor(limits, kv_cache_tokens, launching)
        self._searches = isinstance(executor, Engine)
        self._sessions = SessionPool(
            executor,
            self.encoder,
            max_seq_len,
            eos_token_ids=loaded.eos_token_ids,
        )

    def _executor(
        self, limits: StepLimits, kv_cache_tokens: int | None, launching: Launching
    ) -> Executor:
        """The engine, or plain batches for models that our attention cannot be put into."""
        loaded = self.loaded
        options: dict[str, Any] = {
            "eos_token_ids": loaded.eos_token_ids,
            "token_bytes": self.encoder.token_bytes,
            "max_batch_size": limits.max_batch_size,
            "max_seq_len": self.max_seq_len,
        }
        if supports(loaded.model, self.max_seq_len):
            options |= launching.options(loaded.model.device)
            options["max_batched_tokens"] = limits.max_batched_tokens
            options["kv_cache_tokens"] = kv_cache_tokens
            with fitting(loaded.name, loaded.model.device):
                return Engine(loaded.model, agree=loaded.world.smallest, **options)
        return BatchExecutor(loaded.model, **options)

    @classmethod
    @known_keywords
    def build(
        cls,
        checkpoint: str,
        *,
        tokenizer: str | None = None,
        max_seq_len: int | None = None,
        max_batch_size: int | None = None,
        max_batched_tokens: int | None = None,
        kv_cache_tokens: int | None = None,
        device: str = "auto",
        dtype: str = "auto",
        tensor_parallel_size: int | None = None,
        device_map: str | None = None,
        quantization: str | None = None,
        cuda_graphs: bool | None = None,
        async_scheduling: bool | None = None,
        threads: int | None = None,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        adapter: str | None = None,
        seed: int = 1,
    ) -> Llama:
        """Loads a checkpoint.

        Args:
            checkpoint: A known model's name, a Hugging Face folder or hub name, a GGUF file, or
                a folder of Meta's (`consolidated.NN.pth`, `params.json`).
            tokenizer: Another folder, hub name or `tokenizer.model` to take the tokenizer from.
            max_seq_len: Tokens of prompt and completion together; the model's own by default,
                and never more than that.
            max_batch_size: Sequences that run together; None for what suits the device (256 on
                CUDA, else 64).
            max_batched_tokens: Tokens in one forward pass; None for what suits the device (8192 on
                CUDA, else 512).
            kv_cache_tokens: Tokens whose keys and values are kept at most; None for what the
                memory has room for.
            device: `auto` (CUDA, else MPS, else the CPU), `cpu`, `cuda`, `cuda:N`, `mps`.
            dtype: `auto` (bfloat16 on CUDA, else float32) or a dtype's name.
            tensor_parallel_size: Processes that share the model; None takes all that torchrun
                started. All make the same calls, and get the same completions.
            device_map: `auto` spreads a model over all GPUs of this one process.
            quantization: `int8` or `int4` weights (extra `quant`), or `int8_dynamic`: products in
                8 bits on the CPU. All are lossy; None leaves the weights.
            cuda_graphs: Record decode steps and replay them; None does on CUDA in one process.
            async_scheduling: Launch a step before the last one is read; None does on CUDA.
            threads: CPU threads of torch; None leaves torch's own choice.
            chat_template_kwargs: Variables for the chat template, such as `enable_thinking`.
            adapter: Folder of a LoRA adapter that was trained on this model, as
                `nlp-pipeline train` and peft write it, or the name of one that ships; `auto` is
                the one that ships for the model, if one does.
            seed: For samples of calls that give none.

        Raises:
            InvalidModelSetting: A setting is of the wrong type or out of its range.
            ModelError: The checkpoint cannot be found, read or put on the device.
        """
        if not isinstance(checkpoint, str | PathLike):
            raise NoModelGiven("checkpoint", checkpoint, "a model's name or path")
        checkpoint = str(checkpoint)
        LlamaSettings(  # checks
            model=checkpoint,
            tokenizer=tokenizer,
            device=device,
            dtype=dtype,
            max_batch_size=max_batch_size,
            max_batched_tokens=max_batched_tokens,
            kv_cache_tokens=kv_cache_tokens,
            max_seq_len=max_seq_len,
            threads=threads,
            tensor_parallel_size=tensor_parallel_size,
            device_map=device_map,
            quantization=quantization,
            cuda_graphs=cuda_graphs,
            async_scheduling=async_scheduling,
            chat_template_kwargs=chat_template_kwargs or {},
            adapter=adapter,
        )
        check_launching(device, tensor_parallel_size, cuda_graphs=cuda_graphs)
        if threads is not None:
            torch.set_num_threads(threads)
        loaded = load(
            checkpoint,
            device=device,
            dtype=dtype,
            tokenizer=tokenizer,
            tensor_parallel_size=tensor_parallel_size,
            device_map=device_map,
            quantization=quantization,
            adapter=adapter,
        )
        launch_options = {"cuda_graphs": cuda_graphs, "async_scheduling": async_scheduling}
        launching = choose_launching(loaded.model.device, loaded.world, **launch_options)
        options: dict[str, Any] = {
            "max_seq_len": min(max_seq_len or loaded.max_seq_len, loaded.max_seq_len),
            "max_batch_size": max_batch_size,
            "max_batched_tokens": max_batched_tokens,
            "kv_cache_tokens": kv_cache_tokens,
            "seed": seed,
            "launching": launching,
            "chat_template_kwargs": TemplateKwargs(chat_template_kwargs or {}),
        }
        loaded.world.check_same("settings", (checkpoint, tokenizer, adapter, *options.values()))
        return cls(loaded, **options)

    @classmethod
    @known_keywords
    def from_model(
        cls,
        model: Any,
        tokenizer: Any,
        *,
        max_seq_len: int | None = None,
        max_batch_size: int | None = None,
        max_batched_tokens: int | None = None,
        kv_cache_tokens: int | None = None,
        cuda_graphs: bool | None = None,
        async_scheduling: bool | None = None,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        seed: int = 1,
    ) -> Llama:
        """Takes a loaded pair of `transformers`; its weights stay as and where they are.

        Args:
            model: A causal language model; it is put into evaluation mode.
            tokenizer: Its fast tokenizer.
            max_seq_len: As in `build`, like all that follow.
            max_batch_size: Sequences that run together.
            max_batched_tokens: Tokens in one forward pass.
            kv_cache_tokens: Tokens whose keys and values are kept at most.
            cuda_graphs: Record decode steps and replay them.
            async_scheduling: Launch a step before the last one is read.
            chat_template_kwargs: Variables for the chat template.
            seed: For samples of calls that give none.

        Raises:
            NoModelGiven: One of the two is something else.
            InvalidModelSetting: A setting is of the wrong type or out of its range.
        """
        LlamaSettings(  # checks
            max_batch_size=max_batch_size,
            max_batched_tokens=max_batched_tokens,
            kv_cache_tokens=kv_cache_tokens,
            max_seq_len=max_seq_len,
            cuda_graphs=cuda_graphs,
            async_scheduling=async_scheduling,
            chat_template_kwargs=chat_template_kwargs or {},
        )
        loaded = loaded_pair(model, tokenizer)
        wanted = {"cuda_graphs": cuda_graphs, "async_scheduling": async_scheduling}
        return cls(
            loaded,
            max_seq_len=min(max_seq_len or loaded.max_seq_len, loaded.max_seq_len),
            max_batch_size=max_batch_size,
            max_batched_tokens=max_batched_tokens,
            kv_cache_tokens=kv_cache_tokens,
            seed=seed,
            launching=choose_launching(loaded.model.device, loaded.world, **wanted),
            chat_template_kwargs=TemplateKwargs(chat_template_kwargs or {}),
        )

    def generator_block(self) -> dict[str, str]:
        """What a component's setting `generator` takes to use this Llama, in this process."""
        key = f"{self.loaded.name}-{id(self):x}"
        LOADED_HERE[key] = self
        return {"@llama_generators": LOADED_BACKEND, "key": key}

    @known_keywords
    def generate(
        self,
        prompts: Sequence[Prompt] | str | Chat,
        *,
        max_new_tokens: int = 64,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        stop: Iterable[str] = (),
        seed: int | None = None,
        logprobs: int = 0,
        echo: bool = False,
        n: int = 1,
        num_beams: int = 1,
        length_penalty: float = 1.0,
        num_hypotheses: int = 1,
    ) -> list[Completion]:
        """Completes prompts of any lengths; completions come back in the prompts' order.

        Args:
            prompts: Texts, `Chat`s or token ids, mixed as you like; at most `max_batch_size`.
                A single text, `Chat` or list of ids is a list of one. Ids may be as tokenizers
                give them: lists, arrays, tensors (padding goes by `attention_mask`), or what
                `tokenizer(texts)` returns.
            max_new_tokens: As in `SamplingParams`, like all that follow.
            temperature: 0 is greedy.
            top_p: Nucleus.
            top_k: 0 keeps all tokens.
            min_p: Keep tokens at least this fraction as likely as the likeliest.
            repetition_penalty: Above 1 makes tokens of the prompt and the answer less likely.
            stop: Texts that end a completion.
            seed: The same seed gives the same sample; None takes the Llama's own.
            logprobs: Top alternatives per token.
            echo: Return the prompt's tokens and their log-probabilities too.
            n: Independent samples of each prompt.
            num_beams: Above 1: the best completion of a beam search of this width.
            length_penalty: Beams compare their sums over length to this power.
            num_hypotheses: So many of what the search has ended stand in `Completion.hypotheses`.

        Raises:
            BatchTooLarge: More prompts than `max_batch_size`.
            InvalidSamplingParams: A parameter is out of its range.
            RequestError: A prompt cannot be served; no other prompt is lost in `stream`, here
                the first such error is raised.
        """
        prompts = as_prompts(prompts)
        if len(prompts) > self.max_batch_size:
            raise BatchTooLarge(len(prompts), self.max_batch_size)
        params = SamplingParams(
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            top_k=top_k,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            stop=stop,  # type: ignore[arg-type]  # made a tuple there
            seed=self.seed if seed is None else seed,
            logprobs=logprobs,
            echo=echo,
            n=n,
            num_beams=num_beams,
            length_penalty=length_penalty,
            num_hypotheses=num_hypotheses,
        )
        self.loaded.world.check_same("prompts", (prompts, params))
        requests = [GenerationRequest(str(i), p, params) for i, p in enumerate(prompts)]
        completions = sorted(self.stream(requests), key=lambda c: (int(c.request_id), c.sample))
        for completion in completions:
            if completion.error is not None:
                raise completion.error
        return completions

    @property
    def max_num_beams(self) -> int:
        """The widest beam search: 1 for a model that our engine cannot compute."""
        return min(MAX_NUM_BEAMS, self.max_batch_size) if self._searches else 1

    def session(self) -> Session:
        """Opens a stream of requests; all streams of this Llama share its batches."""
        return self._sessions.open()

    def stream(self, requests: Iterable[GenerationRequest]) -> Iterator[Completion]:
        """Completes a stream of any number of requests; see `interface.generate`."""
        return generate(self, requests)

    @property
    def info(self) -> GeneratorInfo:
        """The model, its context and its digest."""
        loaded = self.loaded
        return GeneratorInfo("in-process", loaded.name, self.max_seq_len, details=loaded.details)

    def count_tokens(self, prompt: Prompt) -> int:
        """Length of the encoded prompt in tokens."""
        return len(self.encoder.encode(prompt, answers_at_once=True))

    def close(self) -> None:
        """Gives the memory for keys and values back; the weights go with the last reference."""
        self._sessions.executor.close()
