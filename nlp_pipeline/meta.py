"""Meta's own interface to a Llama, under Meta's names.

Meta's `example_text_completion.py` and `example_chat_completion.py` (Llama 2 and 3) run with
`from llama import Llama, Dialog` changed to `from nlp_pipeline.meta import Llama, Dialog` and
nothing else, also under torchrun. Ids, log-probabilities and echo are those of Meta's code.

One difference: Meta's `generate` takes a prompt of exactly `max_seq_len` tokens and gives it back
without a completion; here it is refused (`PromptTooLong`), like every prompt without room for one.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Sequence
from typing import Any, Literal, TypedDict

from nlp_pipeline.errors.generation import BatchTooLarge
from nlp_pipeline.generation.chat import Chat, Message
from nlp_pipeline.generation.interface import Completion, GenerationRequest, SamplingParams
from nlp_pipeline.generation.llama import Llama as _Llama

Role = Literal["system", "user", "assistant"]

SPECIAL_TAGS = ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>")
UNSAFE_ERROR = "Error: special tags are not allowed as part of the prompt."
"""What Meta's Llama 2 answers to a dialog that holds one of its tags."""


class ChatMessage(TypedDict):
    """One turn of a dialog."""

    role: Role
    content: str


Dialog = Sequence[ChatMessage]


class Tokenizer:
    """The tokenizer of a model as Meta's code calls it.

    Attributes:
        bos_id: Begin of sequence.
        eos_id: End of sequence.
        n_words: Size of the vocabulary.
    """

    def __init__(self, llama: _Llama) -> None:
        self._encoder = llama.encoder
        self.bos_id: int = llama.loaded.tokenizer.bos_token_id
        self.eos_id: int = llama.loaded.tokenizer.eos_token_id
        self.n_words: int = len(llama.loaded.tokenizer)

    def encode(self, s: str, bos: bool, eos: bool) -> list[int]:
        """Token ids of a text; a special token's name in it is text."""
        ids = self._encoder.encode_text(s)
        return [self.bos_id] * bos + ids + [self.eos_id] * eos

    def decode(self, t: Sequence[int]) -> str:
        """The text of token ids."""
        return self._encoder.decode(list(t))


class Llama:
    """A model as Meta's code has it. Made by `Llama.build`."""

    def __init__(self, llama: _Llama, seed: int) -> None:
        self.llama = llama
        self.tokenizer = Tokenizer(llama)
        self._random = random.Random(seed)

    @staticmethod
    def build(
        ckpt_dir: str,
        tokenizer_path: str,
        max_seq_len: int,
        max_batch_size: int,
        model_parallel_size: int | None = None,
        seed: int = 1,
    ) -> Llama:
        """Loads a model; every process but the first of a machine prints nothing from then on.

        Args:
            ckpt_dir: Meta's folder, or any model that `nlp_pipeline.Llama.build` takes.
            tokenizer_path: Its `tokenizer.model`.
            max_seq_len: Tokens of prompt and completion together.
            max_batch_size: Prompts of one call at most.
            model_parallel_size: Processes that share it; None takes all that torchrun started.
            seed: Of the draws of this object, one after the other.

        Raises:
            ModelError: The model cannot be found, read or put on the device.
        """
        if int(os.environ.get("LOCAL_RANK", "0")) > 0:
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # to the end
        llama = _Llama.build(
            ckpt_dir,
            tokenizer=tokenizer_path,
            max_seq_len=max_seq_len,
            max_batch_size=max_batch_size,
            tensor_parallel_size=model_parallel_size,
            seed=seed,
        )
        return Llama(llama, seed)

    def generate(
        self,
        prompt_tokens: list[list[int]],
        max_gen_len: int,
        temperature: float = 0.6,
        top_p: float = 0.9,
        logprobs: bool = False,
        echo: bool = False,
    ) -> tuple[list[list[int]], list[list[float]] | None]:
        """Completes prompts of token ids.

        Args:
            prompt_tokens: The prompts, of any lengths; at most `max_batch_size`.
            max_gen_len: Tokens of each completion at most.
            temperature: 0 is greedy.
            top_p: Nucleus.
            logprobs: Return the log-probabilities too.
            echo: Return the prompts in front of the completions.

        Returns:
            Token ids up to the first end token, and their log-probabilities or None; the first
            token of an echoed prompt has 0.

        Raises:
            BatchTooLarge: More prompts than `max_batch_size`.
            RequestError: A prompt cannot be served.
        """
        done = self._completed(prompt_tokens, max_gen_len, temperature, top_p, echo)
        ids = [[*c.prompt_token_ids, *c.token_ids] for c in done]
        scores = [[*(p or 0.0 for p in c.prompt_logprobs), *c.logprobs] for c in done]
        return ids, scores if logprobs else None

    def text_completion(
        self,
        prompts: list[str],
        temperature: float = 0.6,
        top_p: float = 0.9,
        max_gen_len: int | None = None,
        logprobs: bool = False,
        echo: bool = False,
    ) -> list[dict[str, Any]]:
        """Completes texts; see `generate`.

        Returns:
            For each `generation`, and with `logprobs` the `tokens` and `logprobs`.
        """
        encoded = [self.tokenizer.encode(text, bos=True, eos=False) for text in prompts]
        length = self._length(max_gen_len)
        ids, scores = self.generate(encoded, length, temperature, top_p, logprobs, echo)
        texts = [self.tokenizer.decode(tokens) for tokens in ids]
        if scores is None:
            return [{"generation": text} for text in texts]
        return [self._prediction(*row) for row in zip(texts, ids, scores, strict=True)]

    def chat_completion(
        self,
        dialogs: list[Dialog],
        temperature: float = 0.6,
        top_p: float = 0.9,
        max_gen_len: int | None = None,
        logprobs: bool = False,
    ) -> list[dict[str, Any]]:
        """Answers dialogs; see `generate`.

        Returns:
            For each `generation` with `role` and `content`, and with `logprobs` the `tokens` and
            `logprobs`.
        """
        unsafe = [self._unsafe(dialog) for dialog in dialogs]
        encoded = [self._encoded(dialog) for dialog in dialogs]
        length = self._length(max_gen_len)
        ids, scores = self.generate(encoded, length, temperature, top_p, logprobs)
        predictions = []
        for number, tokens in enumerate(ids):
            text = UNSAFE_ERROR if unsafe[number] else self.tokenizer.decode(tokens)
            said: Any = {"role": "assistant", "content": text}
            row = scores[number] if scores else []
            predictions.append(
                self._prediction(said, tokens, row) if logprobs else {"generation": said}
            )
        return predictions

    def _length(self, max_gen_len: int | None) -> int:
        return self.llama.max_seq_len - 1 if max_gen_len is None else max_gen_len

    def _prediction(
        self, generation: Any, tokens: Sequence[int], scores: Sequence[float]
    ) -> dict[str, Any]:
        pieces = [self.tokenizer.decode([token]) for token in tokens]
        return {"generation": generation, "tokens": pieces, "logprobs": list(scores)}

    def _encoded(self, dialog: Dialog) -> list[int]:
        turns = tuple(Message(turn["role"], turn["content"].strip()) for turn in dialog)
        return self.llama.encoder.encode(Chat(turns))

    def _unsafe(self, dialog: Dialog) -> bool:
        """Whether a dialog for a Llama 2 holds one of its tags; Llama 3 has none in texts."""
        template = str(self.llama.loaded.tokenizer.chat_template)
        tags = [tag for tag in SPECIAL_TAGS if tag in template]
        return any(tag in turn["content"] for turn in dialog for tag in tags)

    def _completed(
        self,
        prompts: list[list[int]],
        max_gen_len: int,
        temperature: float,
        top_p: float,
        echo: bool,
    ) -> list[Completion]:
        """The completions in the prompts' order; each prompt of each call has draws of its own."""
        llama = self.llama
        if len(prompts) > llama.max_batch_size:
            raise BatchTooLarge(len(prompts), llama.max_batch_size)
        llama.loaded.world.check_same("prompts", (prompts, max_gen_len, temperature, top_p))
        requests = [
            GenerationRequest(
                str(number),
                prompt,
                SamplingParams(
                    max_new_tokens=max_gen_len,
                    temperature=temperature,
                    top_p=top_p,
                    echo=echo,
                    seed=self._random.getrandbits(31),
                ),
            )
            for number, prompt in enumerate(prompts)
        ]
        done = sorted(llama.stream(requests), key=lambda completion: int(completion.request_id))
        for completion in done:
            if completion.error is not None:
                raise completion.error
        return done
