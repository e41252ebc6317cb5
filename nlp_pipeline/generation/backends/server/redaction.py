"""The one place where a key is taken out of what a server says, before anything of it is kept."""

from __future__ import annotations

import base64
import logging
import re
from typing import Any
from urllib.parse import quote

MARK = "[key]"
"""What stands in the key's place."""

SHORTEST_KEY = 8
"""A shorter one, such as `none` for a server that asks for no key, may be a word of an answer."""

logger = logging.getLogger(__name__)


class Redaction:
    """Takes a key out of texts and JSON values, in the forms in which a server may repeat it.

    Args:
        secret: The key; empty where there is none.
        variable: The environment variable that holds it, for messages.
    """

    def __init__(self, secret: str, variable: str = "") -> None:
        forms = {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode()}
        forms |= {form.rstrip("=") for form in forms} if secret else set()
        longest_first = sorted(filter(None, forms), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._variable = variable
        self._in_answers = len(secret) >= SHORTEST_KEY
        self._warned = False

    def text(self, text: str) -> str:
        """A text without the key."""
        return self._pattern.sub(MARK, text)

    def value(self, value: Any) -> Any:
        """A JSON value without the key, in names as in texts."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.value(name): self.value(inner) for name, inner in value.items()}
        return [self.value(inner) for inner in value] if isinstance(value, list) else value

    def reply(self, reply: dict[str, Any]) -> dict[str, Any]:
        """A reply without the key; an answer that held it is marked, and a warning says so."""
        answers = reply.get("choices")
        around = {name: inner for name, inner in reply.items() if name != "choices"}
        redacted: dict[str, Any] = self.value(around)
        if answers is None:
            return redacted
        cleaned = self.value(answers) if self._in_answers else answers
        if cleaned != answers and not self._warned:
            self._warned = True
            logger.warning(
                "An answer of the server holds the key of %s; %s stands in its place",
                self._variable,
                MARK,
            )
        return {**redacted, "choices": cleaned}
