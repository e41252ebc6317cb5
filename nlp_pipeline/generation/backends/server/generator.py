"""The server backend as a generator: connected on first use, shared by equal settings."""

from __future__ import annotations

import atexit
import logging
from collections.abc import Mapping

from nlp_pipeline.generation.backends.server.connection import Connection
from nlp_pipeline.generation.backends.server.grammar_probe import GRAMMAR_FIELDS, missing_setting
from nlp_pipeline.generation.backends.server.requests import REFUSED_PARAMS
from nlp_pipeline.generation.backends.server.session import ServerSession
from nlp_pipeline.generation.backends.server.settings import ServerSettings
from nlp_pipeline.generation.chat import Prompt
from nlp_pipeline.generation.interface import GeneratorInfo, Session

logger = logging.getLogger(__name__)

BACKEND = "nlp_pipeline.server.v1"


class ServerGenerator:
    """Sends prompts to an OpenAI-compatible server.

    Connects when it is first needed, so that a pipeline can be built without a server.

    Args:
        settings: Where the server is and how it is treated.
    """

    backend = BACKEND

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings

    @property
    def connection(self) -> Connection:
        """The connection; the same for every generator with equal settings.

        Raises:
            ModelError: The server cannot be used; says why and what to do.
        """
        open_connection = _CONNECTED.get(self.settings)
        if open_connection is not None and open_connection.open and open_connection.failure is None:
            return open_connection
        self.close()
        connection = _CONNECTED[self.settings] = Connection(self.settings)
        logger.info("%s serves %s", self.settings.base_url, connection.served.name)
        if not connection.writer.sends_prefix:
            logger.info("The prompts' answer prefixes are not sent to it (continue_final_message)")
        return connection

    @property
    def info(self) -> GeneratorInfo:
        """The served model. Connects.

        `details` hold what the server says of its weights; the key is nowhere in it.
        """
        connection = self.connection
        served = connection.served
        details = {
            "base_url": self.settings.base_url,
            "server": served.server,
            "answer_prefix": "sent" if connection.writer.sends_prefix else "left out",
            **served.facts,
        }
        return GeneratorInfo(BACKEND, served.name, served.max_seq_len, details=details)

    @property
    def refused_settings(self) -> Mapping[str, str]:
        """What no server can do, and what the settings leave out the means for."""
        unscored = {"no_answer_threshold": "its setting logprobs = false leaves answers unscored"}
        return REFUSED_PARAMS if self.settings.logprobs else {**REFUSED_PARAMS, **unscored}

    @property
    def scores_texts(self) -> bool:
        """Whether it says how likely a given text is: not every server does. Connects."""
        served = self.connection.served
        return served.server in GRAMMAR_FIELDS and not missing_setting(served, self.settings)

    def count_tokens(self, prompt: Prompt) -> int:
        """Length of the encoded prompt; an upper bound where the server does not count."""
        return self.connection.count_tokens(prompt)

    def session(self) -> Session:
        """Opens a stream of requests. Connects."""
        return ServerSession(self.connection)

    def close(self) -> None:
        """Closes the connection, for everybody who shares it."""
        connection = _CONNECTED.pop(self.settings, None)
        if connection is not None:
            connection.close()

    def __deepcopy__(self, memo: object) -> ServerGenerator:
        return self

    def __reduce__(self) -> tuple[type[ServerGenerator], tuple[ServerSettings]]:
        # A worker process gets the settings and would make its own connection.
        return ServerGenerator, (self.settings,)


_CONNECTED: dict[ServerSettings, Connection] = {}


@atexit.register
def _close_all() -> None:
    """Ends every thread before the interpreter takes their modules away."""
    for connection in list(_CONNECTED.values()):
        connection.close()
    _CONNECTED.clear()
