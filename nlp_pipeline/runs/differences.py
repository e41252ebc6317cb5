"""What differs between two fingerprints, by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The entries that are not the same, each as it was and as it is; None for one not there.

    Nested values are one entry each, so that a message can name what differs:
    `versions.spacy: 3.8.17 → 3.8.18`.
    """
    before, after = _flat(then), _flat(json.loads(json.dumps(now, default=str)))
    names = dict.fromkeys((*before, *after))
    return {
        name: (before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    }


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, dict) or not value:
        return {name: value}
    prefix = f"{name}." if name else ""
    return {k: v for key, part in value.items() for k, v in _flat(part, f"{prefix}{key}").items()}
