"""Errors of the generation room: models that cannot be used, requests that cannot be served."""

from __future__ import annotations

from collections.abc import Iterable

from nlp_pipeline.errors.base import NlpPipelineError, counted, did_you_mean, listing
from nlp_pipeline.errors.packages import pip_install


class ModelError(NlpPipelineError):
    """A model that cannot be found, read or run."""

    stage = "config"


class ModelNotFound(ModelError):
    """A model name that is neither a known model, a path, nor a hub name that can be loaded."""

    def __init__(self, name: str, choices: Iterable[str], reason: str = "") -> None:
        because = f" ({reason})" if reason else ""
        names = list(choices)
        super().__init__(
            f"Model '{name}' was not found{because}.{did_you_mean(name, names)} Give a folder, a "
            f".gguf file, a Hugging Face hub name, or one of: {listing(names)}. Type "
            "`nlp-pipeline models list` to see what is here."
        )


class ModelNotFetched(ModelError):
    """A known model whose file is not in the cache and could not be fetched."""

    def __init__(self, name: str, path: str, reason: str = "") -> None:
        because = f" Fetching failed: {reason}." if reason else ""
        super().__init__(
            f"Model '{name}' is not in the model cache ({path}).{because} "
            f"Type `nlp-pipeline models fetch {name}`."
        )


class ModelDigestMismatch(ModelError):
    """A model file whose SHA-256 is not the one that is known for it."""

    def __init__(self, name: str, path: str, expected: str, actual: str) -> None:
        super().__init__(
            f"Model '{name}': {path} has the SHA-256 {actual[:16]}…, expected {expected[:16]}…. "
            f"The file is damaged or was changed: type `nlp-pipeline models fetch {name} --force`."
        )


class CheckpointUnreadable(ModelError):
    """A folder or file that is there and holds no model that can be loaded."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} holds no model that can be loaded: {reason}.")


class DeviceUnavailable(ModelError):
    """A device that was asked for and is not there."""

    def __init__(self, device: str, available: Iterable[str], reason: str | None = None) -> None:
        because = "" if reason is None else f" ({reason})"
        super().__init__(
            f"Device '{device}' was asked for and is not there{because}; there is: "
            f"{listing(available)}. Use --device auto or one of these."
        )


class ModelDoesNotFit(ModelError):
    """A model that needs more memory than its device has free."""

    def __init__(self, name: str, device: str, reason: str) -> None:
        super().__init__(
            f"Model '{name}' does not fit on {device} ({reason}). What may help: --dtype bfloat16, "
            "--quantization int8 or int4, --device-map auto or torchrun with "
            "--tensor-parallel-size over several GPUs, a smaller model, or --device cpu."
        )


class UnpackedModelTooLarge(ModelError):
    """A GGUF file that takes more memory unpacked than there is, and cannot be run packed."""

    def __init__(self, model: str, needed: int, there: int, settings: Iterable[str]) -> None:
        names = " and ".join(settings)
        step = f"leave out {names}" if names else f"type `{pip_install('llama-cpp')}`"
        super().__init__(
            f"{model} takes {needed / 1e9:.1f} GB of memory unpacked, and this machine has "
            f"{there / 1e9:.1f} GB. llama.cpp can run it packed: {step}."
        )


class InvalidDtype(ModelError):
    """A dtype name that is not one of the known ones."""

    def __init__(self, dtype: str, allowed: Iterable[str]) -> None:
        super().__init__(f"dtype '{dtype}' is not known; use one of: {listing(allowed)}.")


class TokenizerNotFound(ModelError):
    """A tokenizer that was named apart from its model and leads nowhere."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(
            f"Tokenizer '{name}' was not found ({reason}). Give a folder or a Hugging Face hub "
            "name, or leave it out to use the model's own."
        )


class InvalidModelSetting(ModelError):
    """A setting of how a model is loaded and run that is of the wrong type or out of its range."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(f"{name}={value!r} is not possible: it must be {allowed}.")


class NoModelGiven(ModelError):
    """Something else in the place of a loaded model, of its tokenizer, or of a model's name."""

    def __init__(self, name: str, value: object, wanted: str) -> None:
        super().__init__(
            f"{name} is of the type {type(value).__name__}, where {wanted} is wanted. "
            "Llama.build(name or path) loads a model; Llama.from_model(model, tokenizer) takes a "
            "loaded pair of transformers."
        )


class NoLoadedGenerator(ModelError):
    """A config that names a loaded pair of another process, or one that is gone."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"No loaded model goes by '{key}' in this process. The block that "
            "Llama.from_model(…).generator_block() returns holds there only where it was made; "
            "name a model in its place to keep a pipeline."
        )


class NoChatTemplate(ModelError):
    """A chat prompt for a model whose tokenizer brings no chat template."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"Model '{model}' has no chat template, so a chat cannot be rendered for it. Use an "
            "instruction-tuned model, or give a plain text prompt."
        )


class InvalidSamplingParams(NlpPipelineError):
    """A sampling parameter out of its range."""

    stage = "config"

    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(f"{name}={value!r} is not possible: it must be {allowed}.")


class RequestError(NlpPipelineError):
    """A single request that cannot be served; all others go on."""

    stage = "generate"


class PromptTooLong(RequestError):
    """A prompt that leaves no room for a single new token."""

    def __init__(self, prompt_tokens: int, max_seq_len: int) -> None:
        super().__init__(
            f"The prompt has {prompt_tokens} tokens and the model's context holds {max_seq_len}, "
            "of which at least 1 must stay free for the answer. Shorten the text or use a model "
            "with a longer context."
        )


class QuestionTooLong(RequestError):
    """A question, or the instructions around it, that leave no room for any text."""

    def __init__(self, prompt_tokens: int, kept_tokens: int, max_seq_len: int) -> None:
        super().__init__(
            f"The question with its instructions has {prompt_tokens} tokens and {kept_tokens} are "
            f"kept for the answer; of the {max_seq_len} that the model's context holds none is "
            "left for the text. Shorten the question or the examples, lower max_new_tokens, or "
            "use a model with a longer context."
        )


class SummariesTooLong(RequestError):
    """Summaries of chunks of which not even two fit into one prompt."""

    def __init__(self, chunks: int, room: int) -> None:
        super().__init__(
            f"The summaries of {chunks} chunks cannot be summarized together: two of them do not "
            f"fit into the {room} tokens that a prompt has room for. Lower max_new_tokens or use "
            "a model with a longer context."
        )


class ChatNotRendered(RequestError):
    """A chat that the model's own chat template refuses, such as one with a system turn."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"The chat template of model '{model}' refuses this chat: {reason}.")


class TemplateUnbounded(RequestError):
    """A chat template that would hang or fill the memory; see `generation/template_limits.py`."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"The model's chat template is not rendered: {reason}. Get the model from its "
            "publisher, or name another tokenizer= with a template of its own."
        )


class PromptNotEncoded(RequestError):
    """A prompt that the tokenizer cannot take, such as one with half of a surrogate pair."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The prompt cannot be turned into tokens: {reason}.")


class InvalidToken(RequestError):
    """A prompt given as token ids that the model does not have."""

    def __init__(self, token: object, vocabulary: int) -> None:
        super().__init__(
            f"The prompt holds the token id {token!r}, and the model's ids are the integers from "
            f"0 to {vocabulary - 1}. Encode the text with this model's own tokenizer."
        )


class PromptsNotUnderstood(RequestError):
    """Prompts in a form that nothing can be made of."""

    def __init__(self, value: object) -> None:
        super().__init__(
            f"A prompt of the type {type(value).__name__} is not understood. Give texts, Chats, or "
            "the token ids of each prompt as a list of integers: tokenizer(texts).input_ids."
        )


class EmptyPrompt(RequestError):
    """A prompt that encodes to no token at all."""

    def __init__(self) -> None:
        super().__init__("The prompt is empty: it encodes to no token. Give it some text.")


class ConstraintImpossible(RequestError):
    """A constraint that no text of the model can satisfy, or that is too much to work out."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"No answer can satisfy what is asked of it: {reason}. Loosen the schema or the "
            "grammar."
        )


class ExtractionInvalid(RequestError):
    """A completion that is no object of its schema."""

    def __init__(self, reason: str, text: str) -> None:
        excerpt = text if len(text) <= 60 else text[:57] + "..."
        super().__init__(
            f"The extraction is not valid: {reason}. It begins {excerpt!r}. Give more room by "
            "max_new_tokens, or a schema with shorter texts and lists; the generator has to obey "
            "constraints."
        )


class NoSpanPossible(RequestError):
    """Nothing of a document may be answered, as no piece of it can be, and no other reply."""

    def __init__(self, length: int, unknown: bytes = b"") -> None:
        reason = (
            f"the model's vocabulary has no token for the byte 0x{unknown.hex()}"
            if unknown
            else f"the document holds white space alone, {counted(length, 'character')}"
        )
        super().__init__(
            f"No piece of the document can be the answer: {reason}. "
            "Give a text with words, or a `no_answer` to reply instead."
        )


class TooManyBeams(RequestError):
    """A beam search that this executor cannot do, or for which it is too small."""

    def __init__(self, num_beams: int, allowed: int) -> None:
        super().__init__(
            f"num_beams={num_beams} is not possible here: at most {allowed} beams can be searched. "
            "Ask for fewer, or "
            + (
                "build the Llama with a larger max_batch_size."
                if allowed > 1
                else "use a model that the engine runs (llama, mistral or qwen)."
            )
        )


class NoAnswerAfterReasoning(RequestError):
    """A model that reasons, and came to no answer.

    Attributes:
        full: Whether `max_new_tokens` ended it.
    """

    def __init__(self, reasoning_tokens: int, max_new_tokens: int, finish_reason: str) -> None:
        self.full = finish_reason == "length"
        used = "its reasoning"
        if reasoning_tokens:
            used = f"{counted(reasoning_tokens, 'token', separator='')} of reasoning"
        reason = (
            f" when max_new_tokens={max_new_tokens} was reached"
            if finish_reason == "length"
            else ""
        )
        super().__init__(
            f"The model reasons, and ended in {used}{reason} without an answer. Give it more "
            "tokens (max_new_tokens), or switch its reasoning off: "
            'chat_template_kwargs = {"enable_thinking": false} in the generator block, or as the '
            "model's page says."
        )


class GenerationFailed(RequestError):
    """The model failed on this request alone, after it was tried by itself."""

    retryable = True

    def __init__(self, reason: str) -> None:
        super().__init__(f"Generation failed: {reason}")


class BatchTooLarge(RequestError):
    """More prompts in one `Llama.generate` than `max_batch_size` allows."""

    def __init__(self, size: int, allowed: int) -> None:
        super().__init__(
            f"{size} prompts were given and max_batch_size is {allowed}. Give fewer, build the "
            "Llama with a larger max_batch_size, or use Llama.stream, which takes any number."
        )
