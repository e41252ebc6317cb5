"""Bounds on a chat template, which is a program of whoever made the model.

transformers runs it in a sandbox that forbids access, not effort: a loop in a loop in a loop hangs,
a text times 10**10 fills the memory.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from types import FrameType
from typing import Any

from nlp_pipeline.errors.generation import TemplateUnbounded

MOST_STEPS = 500_000
"""Lines of the compiled template. The longest in use take a few hundred for each turn."""

MOST_SECONDS = 5.0
"""Of the thread's own CPU time: what else the machine does is no fault of a template."""

MOST_CHARACTERS = 2**24
"""Beyond what the texts of the chat have themselves."""

MOST_KIB = 2**19
"""By so much may the memory of the process grow at most while a template is rendered."""

LARGEST_FACTOR = 10_000

COMPILED = "<template>"
"""What Jinja calls the file of a compiled template."""

# Windows has none.
_RESOURCE: Any = import_module("resource") if find_spec("resource") else None


def check_template(source: str) -> None:
    """Refuses what would be worked out in one step that nothing could interrupt.

    Raises:
        TemplateUnbounded: It has powers, products of products, or large factors.
    """
    from jinja2 import Environment, TemplateError, nodes

    try:
        tree = Environment(extensions=["jinja2.ext.loopcontrols"]).parse(source)
    except (TemplateError, RecursionError):
        return  # transformers says what is wrong with it, or knows more tags
    for product in tree.find_all((nodes.Mul, nodes.Pow)):
        sides = (product.left, product.right)
        factors = [side.value for side in sides if isinstance(side, nodes.Const)]
        large = any(isinstance(f, int | float) and abs(f) > LARGEST_FACTOR for f in factors)
        nested = any(isinstance(side, nodes.Mul | nodes.Pow) for side in sides)
        if isinstance(product, nodes.Pow) or large or nested:
            raise TemplateUnbounded(f"line {product.lineno} multiplies without a bound")


def rendered_within_limits(render: Callable[[], str], characters: int) -> str:
    """What `render` returns, unless it takes too many steps, too long or too much memory.

    Args:
        render: Renders a template.
        characters: What the texts have that it is given.

    Raises:
        TemplateUnbounded: It exceeds a limit.
    """
    steps, end, memory = 0, time.thread_time() + MOST_SECONDS, _memory_kib()

    def count(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        if frame.f_code.co_filename != COMPILED:  # Jinja's own work, such as compiling it
            return None
        steps += 1
        if steps > MOST_STEPS:
            raise TemplateUnbounded(f"it takes more than {MOST_STEPS} steps")
        if time.thread_time() > end:
            raise TemplateUnbounded(f"it takes more than {MOST_SECONDS:.0f} CPU seconds")
        if _memory_kib() - memory > MOST_KIB:
            raise TemplateUnbounded(f"it takes more than {MOST_KIB // 1024} MiB of memory")
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        text = render()
    finally:
        sys.settrace(before)
    if len(text) > characters + MOST_CHARACTERS:
        raise TemplateUnbounded(f"it writes {len(text)} characters around {characters}")
    return text


def _memory_kib() -> int:
    """The most that the process has had so far; 0 where the system does not say."""
    if _RESOURCE is None:
        return 0
    most: int = _RESOURCE.getrusage(_RESOURCE.RUSAGE_SELF).ru_maxrss
    return most // 1024 if sys.platform == "darwin" else most
