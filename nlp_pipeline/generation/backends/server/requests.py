"""A `GenerationRequest` as the body of an HTTP request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nlp_pipeline.errors.server_abilities import (
    NotOfferedByServer,
    SettingPassedOver,
)
from nlp_pipeline.generation.backends.server.discovery import OLLAMA, PREFILLING, ServedModel
from nlp_pipeline.generation.backends.server.neutral import ControlTokens
from nlp_pipeline.generation.backends.server.schema_probe import (
    form_of_pieces,
    needs_pieces,
    response_format,
)
from nlp_pipeline.generation.backends.server.settings import ServerSettings
from nlp_pipeline.generation.chat import Chat, Prompt
from nlp_pipeline.generation.interface import GenerationRequest, SamplingParams

if TYPE_CHECKING:
    from nlp_pipeline.generation.constraints.constraint import Constraint
    from nlp_pipeline.generation.prompt_encoder import PromptEncoder

Body = dict[str, Any]

MAX_SEED = 2**31 - 1
"""Servers keep seeds in 32 bits, some of them signed; higher bits are dropped."""

LLAMACPP_WINDOW = 4096
"""Tokens that llama.cpp's repetition penalty looks back, where the context's length is unknown."""

REFUSED_PARAMS: Mapping[str, str] = {
    "num_beams": "no server searches with beams",
    "echo": "servers do not give the tokens of a prompt back",
}
"""What of `SamplingParams` a server cannot do. Without beams there is one hypothesis, of whatever
length, so that `num_hypotheses` and `length_penalty` ask for nothing."""

_OLLAMA_PARAMETERS = {
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repeat_penalty",
}
"""What only a model's Modelfile can set there, and its name in it."""

_OF_SAMPLING = ("top_k", "min_p")
"""Means nothing where the likeliest token is always taken."""

_INSTEAD = "Leave it out, or use the in-process Llama."


@dataclass(frozen=True)
class SentPrompt:
    """What goes out for one request, and what is needed to read the reply.

    Attributes:
        path: Below `base_url`.
        body: JSON values.
        pairs: For `neutral.restore`.
        prefix: The answer's beginning that was sent; a server may or may not repeat it.
        prompt_tokens: The fewest tokens of the prompt's texts, by the model's own tokenizer; None
            where that is not known.
    """

    path: str
    body: Body
    pairs: dict[str, str]
    prefix: str = ""
    prompt_tokens: int | None = None


def _check_offered(request: GenerationRequest) -> None:
    """Refuses what would otherwise be left out without a word, such as `echo`."""
    if request.constraint is not None and request.constraint.schema is None:
        raise NotOfferedByServer("constraint", _INSTEAD)
    for name in sorted(request.params.chosen & REFUSED_PARAMS.keys()):
        raise NotOfferedByServer(name, _INSTEAD)


def _check_read(params: SamplingParams, template_kwargs: Mapping[str, Any]) -> None:
    """Refuses what Ollama would pass over without a word.

    Raises:
        SettingPassedOver: It is asked for something of that kind.
    """
    for name, parameter in _OLLAMA_PARAMETERS.items():
        if name in params.chosen and not (params.greedy and name in _OF_SAMPLING):
            raise SettingPassedOver(name, getattr(params, name), parameter)
    if template_kwargs:
        raise SettingPassedOver("chat_template_kwargs", dict(template_kwargs))


class RequestWriter:
    """Writes requests for one served model.

    Args:
        served: The model.
        settings: Of the backend.
        encoder: The model's own tokenizer, where it is known.

    Attributes:
        sends_prefix: Whether the answer's beginning is sent.
        sends_stop: Whether stop texts are sent. They would end a reasoning, in which they mean
            nothing: once the model has been seen to reason, they only cut the answer.
    """

    def __init__(
        self, served: ServedModel, settings: ServerSettings, encoder: PromptEncoder | None = None
    ) -> None:
        self._served = served
        self._encoder = encoder
        self._template_kwargs = settings.chat_template_kwargs
        self._logprobs = settings.logprobs
        self._control_tokens = ControlTokens(settings.control_tokens)
        continues = settings.continue_final_message
        self.sends_prefix = served.server in PREFILLING if continues is None else continues
        self.sends_stop = True

    def write(self, request: GenerationRequest, sample: int = 0) -> SentPrompt:
        """The HTTP request for one sample of a request.

        Raises:
            NotOfferedByServer: It asks for what only the in-process engine can do.
            SettingPassedOver: The server would not do what is asked for, and not say so.
        """
        _check_offered(request)
        params = request.params
        if self._served.server == OLLAMA:
            _check_read(params, self._template_kwargs)
        prompt = self.prompt(request.prompt)
        prompt.body.update(
            model=self._served.name,
            max_tokens=params.max_new_tokens,
            seed=(params.seed + sample) & MAX_SEED,
            stream=False,
            **self._sampling(params),
        )
        if params.stop and self.sends_stop:
            prompt.body["stop"] = list(params.stop)
        if request.constraint is not None:
            prompt.body.update(self._form(request.constraint))
        if self._logprobs:
            # At least one alternative: llama.cpp takes 0 for no log-probabilities at all.
            top = max(1, params.logprobs)
            chat = {"logprobs": True, "top_logprobs": top}
            prompt.body.update(chat if "messages" in prompt.body else {"logprobs": top})
        return prompt

    def prompt(self, prompt: Prompt) -> SentPrompt:
        """The part that holds the prompt, without control tokens in any text.

        Raises:
            NotOfferedByServer: The prompt is token ids, which name other tokens to another model.
        """
        pairs: dict[str, str] = {}
        if isinstance(prompt, str):
            text = self._disarmed(prompt, pairs)
            return SentPrompt(
                "/completions", {"prompt": text}, pairs, prompt_tokens=self._fewest([text])
            )
        if not isinstance(prompt, Chat):
            raise NotOfferedByServer("token ids", "Give a text or a chat.")
        body: Body = {
            "messages": [
                {"role": message.role, "content": self._disarmed(message.content, pairs)}
                for message in prompt.messages
            ]
        }
        prefix = self._disarmed(prompt.answer_prefix, pairs) if self.sends_prefix else ""
        if prefix:
            body["messages"].append({"role": "assistant", "content": prefix})
            if self._served.server != "llamacpp":  # there the last turn alone says it
                body["continue_final_message"] = True
                if self._served.server != "sglang":  # it would not count such a prompt
                    body["add_generation_prompt"] = False
        if self._template_kwargs:
            body["chat_template_kwargs"] = dict(self._template_kwargs)
        texts = [message["content"] for message in body["messages"]]
        return SentPrompt(
            "/chat/completions", body, pairs=pairs, prefix=prefix, prompt_tokens=self._fewest(texts)
        )

    def _form(self, constraint: Constraint) -> Body:
        """What asks for an object of a schema, whose texts may have to stand in the document.

        Raises:
            NlpPipelineError: The document is too long for that, or has no word.
        """
        if needs_pieces(constraint):
            return response_format(form_of_pieces(constraint, self._served.server))
        assert constraint.schema is not None
        return response_format(constraint.schema)

    def _fewest(self, texts: list[str]) -> int | None:
        """Tokens of the texts; one less for each, as its last may join what the template writes."""
        if self._encoder is None:
            return None
        return sum(len(self._encoder.encode_text(text)) for text in texts) - len(texts)

    def _disarmed(self, text: str, pairs: dict[str, str]) -> str:
        safe, changes = self._control_tokens.disarm(text)
        pairs.update(changes)
        return safe

    def _sampling(self, params: SamplingParams) -> Mapping[str, Any]:
        """The sampling parameters in the server's words.

        A server that is known gets all of them, since its own defaults cut the distribution
        (llama.cpp: `top_k` 40, `min_p` 0.05; vLLM: the model's `generation_config.json`). Any
        other gets only those that differ from ours: OpenAI's own refuses names it does not know.
        """
        values: Body = {"temperature": params.temperature}
        is_prefilling = self._served.server in PREFILLING
        if not params.greedy:
            values["top_p"] = params.top_p
            if is_prefilling or params.top_k:
                values["top_k"] = params.top_k or -1
            if is_prefilling or params.min_p:
                values["min_p"] = params.min_p
        if params.repetition_penalty != 1:
            if self._served.server == "llamacpp":  # its default window is 64 tokens
                window = self._served.max_seq_len or LLAMACPP_WINDOW
                values.update(repeat_penalty=params.repetition_penalty, repeat_last_n=window)
            else:
                values["repetition_penalty"] = params.repetition_penalty
        return values
