"""How llama.cpp runs a packed model: checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nlp_pipeline.errors.generation import InvalidModelSetting
from nlp_pipeline.generation import template_kwargs
from nlp_pipeline.generation.setting_fields import count, setting, wrong_values
from nlp_pipeline.generation.template_kwargs import TemplateKwargs
from nlp_pipeline.models import DEFAULT_MODEL


@dataclass(frozen=True)
class LlamaCppSettings:
    """What llama.cpp is started with; equal settings share one loaded model.

    Attributes:
        model: A GGUF file, a folder with one, or a known model's name.
        max_seq_len: Tokens of prompt and completion together; None for the model's own, up to
            4096.
        max_batch_size: Sequences that run together; each takes memory for `max_seq_len` tokens.
        threads: CPU threads; None leaves llama.cpp's choice, one for each core.
        chat_template_kwargs: Variables for the chat template, such as `enable_thinking`.

    Raises:
        InvalidModelSetting: A value is of the wrong type or out of its range.
    """

    model: str = setting(str, "a name or a path", bool, DEFAULT_MODEL, option=True, path=True)
    max_seq_len: int | None = count(2)
    max_batch_size: int = count(default=4)
    threads: int | None = count()
    chat_template_kwargs: Mapping[str, Any] = setting(
        Mapping, template_kwargs.ALLOWED, TemplateKwargs.possible, default=TemplateKwargs()
    )

    def __post_init__(self) -> None:
        for wrong in wrong_values(self):
            raise InvalidModelSetting(wrong.name, wrong.value, wrong.allowed)
        kwargs = TemplateKwargs(self.chat_template_kwargs)
        object.__setattr__(self, "chat_template_kwargs", kwargs)
