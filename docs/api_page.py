"""The page of the Python interface: signatures and docstrings of everything public, as Markdown."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any

import nlp_pipeline

SECTIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Runs": (
        "nlp_pipeline",
        (
            *("run", "stream", "astream", "estimate", "ask", "retry", "read_run", "evaluate_run"),
            "compare_runs",
        ),
    ),
    "How good a run is": ("nlp_pipeline", ("evaluate_run",)),
    "What people think of it": ("nlp_pipeline", ("review_run",)),
    "What became of a review": ("nlp_pipeline.reviews.run_review", ("ReviewResult",)),
    "Corpora and tables": ("nlp_pipeline", ("read_corpus", "to_frames")),
    "Frames": ("nlp_pipeline.pandas", ("NlpAccessor",)),
    "The Llama": ("nlp_pipeline", ("Llama", "SamplingParams", "Chat", "Message")),
    "What a run takes and gives": ("nlp_pipeline.runner.request", ("RunResult", "Progress")),
    "Two runs side by side": (
        "nlp_pipeline.comparison",
        ("RunComparison", "write_comparison"),
    ),
    "What a run will take": ("nlp_pipeline.runner.estimate", ("RunEstimate", "Projected")),
    "Components of your own": ("nlp_pipeline.components.base", ("LlamaComponent", "Ask")),
    "Generators of your own": (
        "nlp_pipeline.generation.interface",
        ("Generator", "Session", "GenerationRequest", "Completion", "GeneratorInfo"),
    ),
    "Constraints of your own": (
        "nlp_pipeline.generation.constraints.constraint",
        ("Constraint", "BoundConstraint"),
    ),
    "Golden outputs": ("nlp_pipeline.golden", ("record", "check", "check_frames")),
}
"""Title → module and names. Everything that `nlp_pipeline` offers has to stand here: a test."""

HEAD = """# The Python interface

What a program may rely on. `nlp_pipeline.run` and the command line go the same way; a mistyped
argument is refused with the nearest right one.
"""
_FIELD = re.compile(r"^ {4}(\*{0,2}\w+(?:, \w+)*): (.*(?:\n {6,}.*)*)", re.MULTILINE)
_SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises):$", re.MULTILINE)


def api_page() -> str:
    """`api.md`, without the notice that it is generated."""
    parts = [HEAD]
    for title, (module, names) in SECTIONS.items():
        parts.append(f"## {title}\n")
        for name in names:
            parts += _entry(module, name, getattr(import_module(module), name))
    return "\n".join(parts)


def missing_names() -> set[str]:
    """The public names that no section has."""
    listed = {name for module, names in SECTIONS.values() for name in names}
    return set(nlp_pipeline.__all__) - listed - {"__version__"}


def _entry(module: str, name: str, thing: Any) -> list[str]:
    """A function, or a class with its public methods."""
    parts = [f"### {name}\n", f"`from {module} import {name}`\n", _signature(name, thing)]
    parts.append(_markdown(inspect.getdoc(thing) or ""))
    if inspect.isclass(thing):
        for method, value in vars(thing).items():
            function = getattr(value, "__func__", value)
            if not method.startswith("_") and inspect.isfunction(function):
                parts += [f"#### {name}.{method}\n", _signature(method, getattr(thing, method))]
                parts.append(_markdown(inspect.getdoc(function) or ""))
            elif isinstance(value, property) and not method.startswith("_"):
                parts += [f"#### {name}.{method}\n", _markdown(inspect.getdoc(value) or "")]
    return parts


def _signature(name: str, thing: Any) -> str:
    """The call, an argument a line where there are many."""
    try:
        signature = inspect.signature(thing)
    except ValueError:
        return ""
    if getattr(thing, "_is_protocol", False):
        return ""
    arguments: list[str] = []
    keyword_only = False
    for parameter in signature.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            keyword_only = True
            arguments.append("*")
        arguments.append(_argument(parameter))
    result = signature.return_annotation
    arrow = "" if inspect.isclass(thing) or result is signature.empty else f" -> {result}"
    line = f"{name}({', '.join(arguments)}){arrow}"
    if len(line) > 88:
        inner = "".join(f"    {argument},\n" for argument in arguments)
        line = f"{name}(\n{inner}){arrow}"
    return f"```text\n{line}\n```\n"


def _argument(parameter: inspect.Parameter) -> str:
    annotation = parameter.annotation
    text = parameter.name if annotation is parameter.empty else f"{parameter.name}: {annotation}"
    if parameter.default is parameter.empty:
        return text
    default = "…" if "<" in repr(parameter.default) else repr(parameter.default)
    return f"{text} = {default}"


def _markdown(docstring: str) -> str:
    """A Google docstring: its sections as lists."""
    text, *sections = _SECTION.split(docstring)
    parts = [text.strip() + "\n"]
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        fields = _FIELD.findall(body)
        if title in ("Returns", "Yields") or not fields:
            parts.append(f"*{title}:* {' '.join(body.split())}\n")
            continue
        lines = [f"- `{name}`: {' '.join(meaning.split())}\n" for name, meaning in fields]
        parts.append(f"*{title}:*\n\n" + "".join(lines))
    return "\n".join(parts)
