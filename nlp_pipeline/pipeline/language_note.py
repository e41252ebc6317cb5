"""What of a pipeline's language its components cannot look up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nlp_pipeline.grounding.language_coverage import coverage_note
from nlp_pipeline.pipeline.overrides import components

if TYPE_CHECKING:
    from confection import Config

_LOOKED_UP = frozenset(["llama_qa", "llama_summarizer"])
"""The components whose texts have their names, numbers and dates looked up in the document."""


def language_note(config: Config) -> str | None:
    """What a run says once where numbers or dates of its language cannot be looked up.

    Args:
        config: The pipeline's resolved config.
    """
    factories = {component.get("factory") for component in components(config).values()}
    return coverage_note(str(config["nlp"].get("lang"))) if factories & _LOOKED_UP else None
