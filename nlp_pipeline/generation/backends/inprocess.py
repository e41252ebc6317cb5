"""The in-process Llama as a generator: loaded on first use, shared by all who ask for the same."""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING

from nlp_pipeline.generation.chat import Prompt
from nlp_pipeline.generation.distributed.rank0 import broadcast, mirrored
from nlp_pipeline.generation.interface import GeneratorInfo, Session
from nlp_pipeline.generation.settings import LlamaSettings as LlamaSettings

if TYPE_CHECKING:
    from nlp_pipeline.generation.llama import Llama

BACKEND = "nlp_pipeline.Llama.v1"


class LlamaGenerator:
    """Loads its Llama when it is first needed, so that a pipeline can be built without one."""

    obeys_constraints = True

    def __init__(self, settings: LlamaSettings) -> None:
        self.settings = settings

    @property
    def on_cuda(self) -> bool:
        """Whether the Llama runs on a GPU, or will when it is loaded."""
        if self.settings.device == "auto":
            import torch

            return torch.cuda.is_available()
        return self.settings.device.startswith("cuda")

    @cached_property
    def llama(self) -> Llama:
        """The loaded model: the same object for every generator with equal settings.

        Raises:
            ModelError: It cannot be found, read or put on the device.
        """
        self.load()
        return _LOADED[self.settings]

    def load(self) -> None:
        """Loads the model, unless somebody has; see `llama`."""
        if self.settings not in _LOADED:
            from nlp_pipeline.generation.llama import Llama

            values = asdict(self.settings)
            with broadcast("load", self.settings):
                _LOADED[self.settings] = Llama.build(values.pop("model"), **values)

    @property
    def info(self) -> GeneratorInfo:
        """The model, its digest, device and dtype. Loads it."""
        info = self.llama.info
        return GeneratorInfo(BACKEND, info.model, info.max_seq_len, details=info.details)

    @property
    def max_num_beams(self) -> int:
        """See `Llama.max_num_beams`. Loads the model."""
        return self.llama.max_num_beams

    def count_tokens(self, prompt: Prompt) -> int:
        """Length of the encoded prompt in tokens. Loads the model."""
        return self.llama.count_tokens(prompt)

    def session(self) -> Session:
        """Opens a stream of requests. Loads the model."""
        return mirrored(self.settings, self.llama.session())

    def close(self) -> None:
        """Frees the model, for everybody who shares it."""
        self.__dict__.pop("llama", None)
        llama = _LOADED.pop(self.settings, None)
        if llama is not None:
            llama.close()

    def __deepcopy__(self, memo: object) -> LlamaGenerator:
        return self

    def __reduce__(self) -> tuple[type[LlamaGenerator], tuple[LlamaSettings]]:
        # A worker process gets the settings and would load its own model, should it need one.
        return LlamaGenerator, (self.settings,)


_LOADED: dict[LlamaSettings, Llama] = {}
