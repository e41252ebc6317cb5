"""What a run will take, as a table and as one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nlp_pipeline.cli.output import print_table, size
from nlp_pipeline.errors.base import noun_form

if TYPE_CHECKING:
    from nlp_pipeline.runner.estimate import RunEstimate
    from nlp_pipeline.runner.projection import Projected

_TOKENS = {"prompt": "prompt tokens", "shared": "of these shared", "output": "output tokens"}


def show_estimate(estimate: RunEstimate, corpus: str) -> None:
    """Prints an estimate as a table, each figure with its interval."""
    unreadable = f" and {estimate.n_rejects:,} that cannot be read" * bool(estimate.n_rejects)
    rows: list[list[str | None]] = [["documents", f"{estimate.n_documents:,}{unreadable}", None]]
    rows += [_row(name, estimate.tokens[key], _count) for key, name in _TOKENS.items()]
    rows.append(_row("time", estimate.seconds, duration))
    for name, n_bytes in {
        "memory": estimate.memory_bytes,
        "memory of the GPU": estimate.gpu_memory_bytes,
        "disk": estimate.disk_bytes,
    }.items():
        if n_bytes is not None:
            rows.append([name, size(n_bytes), None])
    if estimate.money is not None:
        rows.append(_row("money", estimate.money, "{:,.2f}".format))
    title = (
        f"Estimate for {corpus}: {estimate.n_generated} of its documents "
        f"{noun_form(estimate.n_generated, 'was', 'were')} answered on this "
        f"machine, of {estimate.n_annotated} the prompts counted"
    )
    print_table(["", "estimate", "95% interval"], rows, title)


def estimate_line(estimate: RunEstimate, left: int) -> str:
    """`About 2 h 5 min for 12,000 documents (1 h 50 min to 2 h 20 min): …`.

    Args:
        estimate: Of the whole corpus.
        left: Documents that are not done.
    """
    share = left / max(1, estimate.n_documents + estimate.n_rejects)
    seconds = estimate.seconds
    time, low, high = (duration(share * s) for s in (seconds.value, seconds.low, seconds.high))
    prompt, output = (share * estimate.tokens[name].value for name in ("prompt", "output"))
    return (
        f"About {time} for {left:,} documents ({low} to {high}): {_count(prompt)} prompt and "
        f"{_count(output)} output tokens, {size(int(share * estimate.disk_bytes))} on disk."
    )


def duration(seconds: float) -> str:
    """`7500` → `"2 h 5 min"`: two units, of which the smaller is rounded."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 10:
        whole = round(seconds)
        return f"{whole // 60} min {whole % 60} s"
    if minutes < 60:
        return f"{minutes} min"
    hours = round(minutes / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} d {hours % 24} h"


def _row(name: str, projected: Projected, text: Callable[[float], str]) -> list[str | None]:
    return [name, text(projected.value), f"{text(projected.low)} to {text(projected.high)}"]


def _count(number: float) -> str:
    """Three digits that count: an estimate has no more."""
    digits = max(0, len(str(int(number))) - 3)
    return f"{round(number / 10**digits) * 10**digits:,}"
