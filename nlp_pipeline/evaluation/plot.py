"""The reliability plot, as an SVG that needs no library to be drawn and no network to be shown."""

from __future__ import annotations

from collections.abc import Iterator

from nlp_pipeline.errors.base import counted
from nlp_pipeline.evaluation.reliability import Bin, Reliability

SIDE, LEFT, TOP = 320, 56, 40
_NARROWEST = 2.0
_TEXT = 'font-family="sans-serif" font-size="12" fill="#333"'


def reliability_svg(curve: Reliability) -> str:
    """Accuracy over probability: bars on the diagonal would be perfect."""
    width, height = SIDE + LEFT + 24, SIDE + TOP + 56
    error = curve.expected_calibration_error
    title = f"{counted(curve.n, 'answer')}, expected calibration error {error:.3f}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">',
        f"<title>Reliability: {title}</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="22" {_TEXT}>{title}</text>',
        *_axes(),
        *(bar for bin_ in curve.bins for bar in _bar(bin_, curve.n)),
        f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" stroke="#b33" '
        'stroke-dasharray="4 4"/>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(value: float) -> float:
    return round(LEFT + value * SIDE, 1)


def _y(value: float) -> float:
    return round(TOP + (1 - value) * SIDE, 1)


def _axes() -> Iterator[str]:
    yield f'<rect x="{LEFT}" y="{TOP}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#999"/>'
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x_label, beside = (
            f'x="{_x(tick)}" y="{TOP + SIDE + 18}"',
            f'x="{LEFT - 8}" y="{_y(tick) + 4}"',
        )
        yield f'<text {x_label} text-anchor="middle" {_TEXT}>{tick:g}</text>'
        yield f'<text {beside} text-anchor="end" {_TEXT}>{tick:g}</text>'
    middle = _x(0.5)
    yield (
        f'<text x="{middle}" y="{TOP + SIDE + 40}" text-anchor="middle" {_TEXT}>'
        "probability of the answer</text>"
    )
    yield (
        f'<text x="16" y="{_y(0.5)}" text-anchor="middle" {_TEXT} '
        f'transform="rotate(-90 16 {_y(0.5)})">share of exact matches</text>'
    )


def _bar(bin_: Bin, total: int) -> Iterator[str]:
    """A bin's accuracy, as wide as its probabilities lie apart; the more answers, the darker."""
    opacity = round(0.25 + 0.75 * bin_.n / total, 2)
    height = round(bin_.accuracy * SIDE, 1)
    width = max(round((bin_.high - bin_.low) * SIDE, 1), _NARROWEST)
    yield (
        f'<rect x="{_x(bin_.low)}" y="{_y(bin_.accuracy)}" width="{width}" '
        f'height="{height}" fill="#36c" fill-opacity="{opacity}">'
        f"<title>{counted(bin_.n, 'answer')}, probability {bin_.confidence:.3f}, right "
        f"{bin_.accuracy:.3f}"
        "</title></rect>"
    )
