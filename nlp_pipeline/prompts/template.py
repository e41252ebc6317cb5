"""A prompt template: a Jinja file whose blocks are the turns of a chat.

    {% block system %}Answer from the document.{% endblock %}
    {% block user %}{{ text }}

    {{ question }}{% endblock %}
    {% block answer_prefix %}Answer:{% endblock %}

Only `user` is required. Templates run in Jinja's sandbox: a template may come from a config that
somebody else wrote, and the values come from documents.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from nlp_pipeline.errors.base import listing
from nlp_pipeline.errors.config import PromptTemplateInvalid, PromptTemplateNotFound
from nlp_pipeline.generation.chat import Chat, Message
from nlp_pipeline.prompts.examples import Example

SUFFIX = ".jinja"
_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True
)
_BLOCKS = ("system", "user", "answer_prefix")


@dataclass(frozen=True)
class PromptTemplate:
    """A template ready to be rendered.

    Attributes:
        name: Its name (`"qa.v1"`) or the path it was read from.
        source: The Jinja text.
    """

    name: str
    source: str

    def __post_init__(self) -> None:
        if "user" not in self._compiled.blocks:
            raise PromptTemplateInvalid(self.name, "it has no block 'user'")

    @property
    def digest(self) -> str:
        """SHA-256 of the source: part of a run's fingerprint."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    @cached_property
    def _compiled(self) -> Template:
        try:
            return _ENVIRONMENT.from_string(self.source)
        except TemplateError as error:
            raise PromptTemplateInvalid(self.name, str(error).rstrip(".")) from error

    def __reduce__(self) -> tuple[type[PromptTemplate], tuple[str, str]]:
        # A compiled template cannot be sent to a worker process.
        return PromptTemplate, (self.name, self.source)

    def check(self, names: Iterable[str]) -> None:
        """Refuses a template that uses a value which `render` will not be given.

        Args:
            names: What `render` will be given.

        Raises:
            PromptTemplateInvalid: It uses another.
        """
        used = find_undeclared_variables(_ENVIRONMENT.parse(self.source))
        unknown = sorted(used - set(names) - set(_ENVIRONMENT.globals))
        if unknown:
            available = listing(sorted(names))
            raise PromptTemplateInvalid(
                self.name, f"it uses '{unknown[0]}', and there is: {available}"
            )

    def render(self, values: Mapping[str, Any], examples: Sequence[Example] = ()) -> Chat:
        """The chat for one document.

        Args:
            values: What the template may name, such as `text` and `question`.
            examples: Turns of the user, rendered like the last one, with their replies. They
                stand before the document, so that all documents share them as a prefix.

        Raises:
            PromptTemplateInvalid: The template uses a value that there is none of, or does what
                the sandbox forbids.
        """
        turns = {name: self._block(name, values) for name in _BLOCKS}
        messages = [Message("system", turns["system"])] if turns["system"] else []
        for example in examples:
            example_values = {**values, **dict(example.values)}
            reply = f"{self._block('answer_prefix', example_values)} {example.reply}".strip()
            messages += [
                Message("user", self._block("user", example_values)),
                Message("assistant", reply),
            ]
        messages.append(Message("user", turns["user"]))
        return Chat(tuple(messages), turns["answer_prefix"])

    def _block(self, name: str, values: Mapping[str, Any]) -> str:
        block = self._compiled.blocks.get(name)
        if block is None:
            return ""
        try:
            return "".join(block(self._compiled.new_context(dict(values)))).strip()
        except Exception as error:  # a template computes: it may divide by zero
            raise PromptTemplateInvalid(self.name, str(error).rstrip(".")) from error


def load_template(name: str) -> PromptTemplate:
    """Reads a template by its name (`"qa.v1"`) or by a path that ends in `.jinja`.

    Raises:
        PromptTemplateNotFound: There is no such template.
        PromptTemplateInvalid: It is no UTF-8, no Jinja, or has no block `user`.
    """
    if name.endswith(SUFFIX):
        path = Path(name).expanduser()
        if not path.is_file():
            raise PromptTemplateNotFound(name, template_names())
        try:
            return PromptTemplate(name, path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise PromptTemplateInvalid(name, f"it is not UTF-8 ({error})") from error
    if name not in template_names():
        raise PromptTemplateNotFound(name, template_names())
    return PromptTemplate(name, (files(__package__) / (name + SUFFIX)).read_text("utf-8"))


def inline_template(component: str, prompt: str) -> PromptTemplate:
    """The template of a prompt that stands in a config: blocks, or the user's turn as it is.

    Raises:
        PromptTemplateInvalid: It is no Jinja.
    """
    source = prompt
    if not re.search(r"{%-?\s*block\s+user\b", prompt):
        source = f"{{% block user %}}{prompt}{{% endblock %}}"
    return PromptTemplate(f"components.{component}.prompt", source)


def template_names() -> list[str]:
    """Names of the templates that come with the package."""
    names = (entry.name for entry in files(__package__).iterdir())
    return sorted(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
