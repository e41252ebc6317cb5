"""llama.cpp as a generator: started on first use, shared by equal settings."""

from __future__ import annotations

import atexit

from nlp_pipeline import models
from nlp_pipeline.generation.backends.llama_cpp.packed_server import (
    PackedServer,
    library_version,
)
from nlp_pipeline.generation.backends.llama_cpp.packed_settings import LlamaCppSettings
from nlp_pipeline.generation.backends.server import REFUSED_PARAMS, ServerGenerator
from nlp_pipeline.generation.chat import Prompt
from nlp_pipeline.generation.interface import GeneratorInfo, Session

BACKEND = "nlp_pipeline.llama_cpp.v1"


class LlamaCppGenerator:
    """Runs a GGUF file by llama.cpp, packed as it is.

    Args:
        settings: Which file and how.
    """

    obeys_constraints = True
    backend = BACKEND
    refused_settings = REFUSED_PARAMS

    def __init__(self, settings: LlamaCppSettings) -> None:
        self.settings = settings

    @property
    def packed(self) -> PackedServer:
        """The running llama.cpp: the same for every generator with equal settings.

        Raises:
            ModelError: It cannot be started; says why and what to do.
        """
        if self.settings not in _STARTED:
            _STARTED[self.settings] = PackedServer(self.settings)
        return _STARTED[self.settings]

    @property
    def _client(self) -> ServerGenerator:
        return ServerGenerator(self.packed.connection_settings)

    @property
    def info(self) -> GeneratorInfo:
        """The model, its digest, and the version of llama.cpp. Loads it."""
        packed = self.packed
        details = {"digest": models.digest(packed.path), "xllamacpp": library_version()}
        return GeneratorInfo(BACKEND, self.settings.model, packed.max_seq_len, details=details)

    def count_tokens(self, prompt: Prompt) -> int:
        """Length of the encoded prompt in tokens. Loads the model."""
        return self._client.count_tokens(prompt)

    def session(self) -> Session:
        """Opens a stream of requests. Loads the model."""
        return self._client.session()

    def close(self) -> None:
        """Frees the model, for everybody who shares it."""
        packed = _STARTED.pop(self.settings, None)
        if packed is not None:
            ServerGenerator(packed.connection_settings).close()
            packed.close()

    def __deepcopy__(self, memo: object) -> LlamaCppGenerator:
        return self

    def __reduce__(self) -> tuple[type[LlamaCppGenerator], tuple[LlamaCppSettings]]:
        # A worker process gets the settings and would load its own model, should it need one.
        return LlamaCppGenerator, (self.settings,)


_STARTED: dict[LlamaCppSettings, PackedServer] = {}


@atexit.register
def _close_all() -> None:
    """Ends llama.cpp's threads before the interpreter takes away what they call."""
    for settings in list(_STARTED):
        LlamaCppGenerator(settings).close()
