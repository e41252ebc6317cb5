"""What the Tab key offers where click does not know it by itself."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem


def complete_file(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Files and folders: the shell lists them itself."""
    return [CompletionItem(incomplete, type="file")]


def complete_pipeline(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The shipped pipelines, or files where none begins like that."""
    from nlp_pipeline.environment import shipped_pipelines

    return _names(shipped_pipelines(), incomplete)


def complete_model(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The known models, or files where none begins like that."""
    from nlp_pipeline.models import KNOWN_MODELS

    return _names(KNOWN_MODELS, incomplete)


def _names(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    items = [CompletionItem(name) for name in names if name.startswith(incomplete)]
    return items or [CompletionItem(incomplete, type="file")]
