"""The loss over the steps: as an SVG that needs no library, and as a line of a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nlp_pipeline.errors.base import counted

WIDTH, HEIGHT, MARGIN, TOP = 560, 280, 56, 40
_TEXT = 'font-family="sans-serif" font-size="12" fill="#333"'
_BLOCKS = "▁▂▃▄▅▆▇█"


def loss_svg(steps: Sequence[Mapping[str, Any]], best_step: int | None) -> str:
    """The curve of the loss, smoothed and as it was, and of the loss on documents not trained on.

    Args:
        steps: The logged steps, at least one.
        best_step: After which the weights that were kept were taken; None for the last.
    """
    losses = [(step["step"], step["loss"]) for step in steps]
    looks = [(s["step"], s["stopping_loss"]) for s in steps if s["stopping_loss"] is not None]
    highest = max(loss for _, loss in [*losses, *looks]) or 1.0
    last = max(1, losses[-1][0])

    def points(values: Sequence[tuple[int, float]]) -> str:
        return " ".join(
            f"{MARGIN + WIDTH * step / last:.1f},{TOP + HEIGHT * (1 - loss / highest):.1f}"
            for step, loss in values
        )

    curves = [
        f'<polyline points="{points(losses)}" fill="none" stroke="#9bc" stroke-width="1"/>',
        f'<polyline points="{points(smoothed(losses))}" fill="none" stroke="#36c" '
        'stroke-width="2"><title>training, mean of ten steps</title></polyline>',
    ]
    if looks:
        curves.append(
            f'<polyline points="{points(looks)}" fill="none" stroke="#b33" stroke-width="2">'
            "<title>documents that are not trained on</title></polyline>"
        )
    if best_step:
        x = MARGIN + WIDTH * best_step / last
        curves.append(
            f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{TOP + HEIGHT}" stroke="#b33" '
            'stroke-dasharray="4 4"><title>kept</title></line>'
        )
    width, height = MARGIN + WIDTH + 24, TOP + HEIGHT + 48
    title = f"Loss over {counted(last, 'step')}: training (blue), documents not trained on (red)"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">',
        f"<title>{title}</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{MARGIN}" y="22" {_TEXT}>{title}</text>',
        *_axes(highest, last),
        *curves,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _axes(highest: float, last: int) -> Iterator[str]:
    yield (
        f'<rect x="{MARGIN}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" '
        'stroke="#999"/>'
    )
    for share in (0.0, 0.5, 1.0):
        x, y = MARGIN + WIDTH * share, TOP + HEIGHT * (1 - share)
        yield (
            f'<text x="{x:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle" {_TEXT}>'
            f"{round(last * share)}</text>"
        )
        yield (
            f'<text x="{MARGIN - 8}" y="{y + 4:.1f}" text-anchor="end" {_TEXT}>'
            f"{highest * share:.2f}</text>"
        )
    yield (
        f'<text x="{MARGIN + WIDTH / 2}" y="{TOP + HEIGHT + 38}" text-anchor="middle" {_TEXT}>'
        "steps</text>"
    )


def smoothed(losses: Sequence[tuple[int, float]], width: int = 10) -> list[tuple[int, float]]:
    """Each loss as the mean of itself and those before it."""
    windows = (
        [loss for _, loss in losses[max(0, n + 1 - width) : n + 1]] for n in range(len(losses))
    )
    means = [sum(window) / len(window) for window in windows]
    return [(step, mean) for (step, _), mean in zip(losses, means, strict=True)]


def loss_line(steps: Sequence[Mapping[str, Any]], width: int = 40) -> str:
    """The curve in one line of a terminal, such as `3.41 █▆▅▃▂▁▁ 0.52`."""
    means = [loss for _, loss in smoothed([(step["step"], step["loss"]) for step in steps])]
    count = min(width, len(means))
    means_shown = [means[round(n * (len(means) - 1) / max(1, count - 1))] for n in range(count)]
    low, high = min(means_shown), max(means_shown)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    blocks = "".join(_BLOCKS[round((loss - low) * scale)] for loss in means_shown)
    return f"{means[0]:.2f} {blocks} {means[-1]:.2f}"
