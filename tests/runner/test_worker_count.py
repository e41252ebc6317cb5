"""How many processes annotate where nobody says: several beside a GPU, none beside a CPU."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import pytest
import torch

from nlp_pipeline.pipeline import PipelineSpec, load_pipeline
from nlp_pipeline.runner.worker_count import (
    MOST_WORKERS,
    SHORT_SWITCH_S,
    runs_on_cuda,
    short_switches,
    worker_count,
)


@pytest.mark.parametrize(
    ("device", "there", "on_cuda"),
    [
        ("cpu", True, False),
        ("auto", True, True),
        ("auto", False, False),
        ("cuda", False, True),  # it is refused when it is loaded
        ("cuda:1", True, True),
    ],
)
def test_the_device_of_the_llama_decides(
    device: str, there: bool, on_cuda: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    nlp = load_pipeline(PipelineSpec("blank_qa", device=device))
    assert runs_on_cuda(nlp) is on_cuda
    assert worker_count(None, nlp) == (MOST_WORKERS if on_cuda else 1)
    assert worker_count(3, nlp) == 3
    assert worker_count(1, nlp) == 1
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert worker_count(None, nlp) == 1
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert worker_count(None, nlp) == (3 if on_cuda else 1)
    monkeypatch.setattr(sys, "platform", "win32")
    assert worker_count(None, nlp) == 1


def test_without_a_llama(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    nlp = load_pipeline(PipelineSpec("blank_qa", echo=True))
    assert worker_count(None, nlp) == 1


@pytest.mark.parametrize("wanted", [True, False])
def test_switches_are_short_for_the_time_of_a_run(wanted: bool) -> None:
    before = sys.getswitchinterval()
    with suppress(ValueError), short_switches(enabled=wanted):
        inside = sys.getswitchinterval()
        raise ValueError("over")
    assert inside == pytest.approx(SHORT_SWITCH_S if wanted else before)
    assert sys.getswitchinterval() == before
