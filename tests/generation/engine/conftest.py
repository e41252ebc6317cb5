"""Tiny models are slower on several threads than on one; engines over slots and over pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from engine_doubles import CACHE


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=["slots", "pages"])
def both_caches(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test of the module runs over slots, and over pages."""
    before = dict(CACHE)
    CACHE.update(dict.fromkeys(CACHE, request.param == "pages"))
    yield
    CACHE.update(before)


@pytest.fixture
def over_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what holds of slots alone."""
    for key in CACHE:
        monkeypatch.setitem(CACHE, key, False)
