"""The curve of a cascade, as an SVG that needs no library to be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nlp_pipeline.errors.base import counted

SIDE, MARGIN, TOP = 320, 56, 40
_TEXT = 'font-family="sans-serif" font-size="12" fill="#333"'


def cascade_svg(report: Mapping[str, Any]) -> str:
    """Accuracy over the share of documents that the Llama is asked about.

    Args:
        report: A `CascadeReport` as a dict.
    """
    width, height = SIDE + MARGIN + 24, SIDE + TOP + 56
    title = f"Accuracy against calls of the Llama, {counted(report['n'], 'document')}"
    points = " ".join(f"{_x(p['llama_share'])},{_y(p['accuracy'])}" for p in report["curve"])
    middle, goal = _x(0.5), _y(report["goal"])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">',
        f"<title>{title}</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="{MARGIN}" y="22" {_TEXT}>{title}</text>',
        f'<rect x="{MARGIN}" y="{TOP}" width="{SIDE}" height="{SIDE}" fill="none" stroke="#999"/>',
    ]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts += [
            f'<text x="{_x(tick)}" y="{TOP + SIDE + 18}" text-anchor="middle" {_TEXT}>'
            f"{tick:g}</text>",
            f'<text x="{MARGIN - 8}" y="{_y(tick) + 4}" text-anchor="end" {_TEXT}>{tick:g}</text>',
        ]
    parts += [
        f'<line x1="{_x(0)}" y1="{goal}" x2="{_x(1)}" y2="{goal}" '
        'stroke="#b33" stroke-dasharray="4 4"><title>wanted</title></line>',
        f'<polyline points="{points}" fill="none" stroke="#36c" stroke-width="2"/>',
        f'<text x="{middle}" y="{TOP + SIDE + 40}" text-anchor="middle" {_TEXT}>'
        "share of documents that the Llama is asked about</text>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(value: float) -> float:
    return round(MARGIN + value * SIDE, 1)


def _y(value: float) -> float:
    return round(TOP + (1 - value) * SIDE, 1)
