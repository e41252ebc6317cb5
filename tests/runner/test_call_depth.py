"""How deep the calls go: whoever reads a traceback from a component or the model can follow it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

from nlp_pipeline.cli import LazyGroup
from nlp_pipeline.components.base import LlamaComponent
from nlp_pipeline.generation.engine.fused_decoder import FusedDecoder
from nlp_pipeline.generation.engine.hf_attention import HFDecoder

PACKAGE = str(Path(__file__).resolve().parent.parent.parent / "nlp_pipeline")
BEFORE_THE_COMMAND = (LazyGroup.invoke.__code__,)

TO_COMPONENT = 6
TO_MODEL = 11
"""Frames of this package at most, from that of the command's function to that one, both counted."""

COMPONENT = (LlamaComponent.pipe.__code__, LlamaComponent.as_completed.__code__)
MODEL = (HFDecoder.__call__.__code__, FusedDecoder.__call__.__code__)


@contextmanager
def deepest_calls() -> Iterator[dict[CodeType, list[str]]]:
    """By watched function, the functions of this package that its deepest call came through."""
    stacks: dict[CodeType, list[str]] = {}

    def watch(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code in COMPONENT + MODEL:
            names = list(function_names(frame))
            if len(names) > len(stacks.get(code, [])):
                stacks[code] = names

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield stacks
    finally:
        sys.setprofile(before)


def function_names(frame: FrameType | None) -> Iterator[str]:
    """The functions of this package that are being called, the innermost first."""
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(PACKAGE):
            if code in BEFORE_THE_COMMAND:
                return
            yield f"{Path(code.co_filename).stem}.{code.co_name}"
        frame = frame.f_back


def deepest(stacks: dict[CodeType, list[str]], codes: tuple[CodeType, ...]) -> list[str]:
    """The longest of the stacks of some functions."""
    return max((stacks.get(code, []) for code in codes), key=len)


@pytest.fixture
def one_component(tmp_path: Path, tiny_llama: str, quick_text: str) -> str:
    """The config of a pipeline with one Llama component, on the tiny Llama."""
    block = f'@llama_generators = "nlp_pipeline.Llama.v1"\nmodel = "{tiny_llama}"\ndevice = "cpu"\n'
    head = quick_text.partition("@llama_generators")[0]
    path = tmp_path / "one.cfg"
    path.write_text(head + block, encoding="utf-8")
    return str(path)


def test_a_command_is_a_few_calls_from_its_component_and_model(
    cli: Callable[..., Any], corpus: Callable[..., str], one_component: str, tmp_path: Path
) -> None:
    source = corpus("Ada wrote the first program.")
    with deepest_calls() as stacks:
        done = cli("run", source, "-p", one_component, "-o", tmp_path / "out", "--quiet")
    assert done.code == 0, done.err
    for codes, most in ((COMPONENT, TO_COMPONENT), (MODEL, TO_MODEL)):
        names = deepest(stacks, codes)
        assert names[-1] == "run.run"
        assert len(names) <= most, "\n".join(reversed(names))


def test_a_second_component_is_one_call_more(
    cli: Callable[..., Any], corpus: Callable[..., str], tiny_llama: str, tmp_path: Path
) -> None:
    source = corpus("Ada wrote the first program.")
    with deepest_calls() as stacks:
        words = ("-p", "en_qa_summary", "--model", tiny_llama, "--device", "cpu", "--quiet")
        done = cli("run", source, *words, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    names = deepest(stacks, COMPONENT)
    assert names[0] == "base.as_completed"
    assert len(names) <= TO_COMPONENT, "\n".join(reversed(names))
    to_model = deepest(stacks, MODEL)
    assert to_model.count("doc_flow.docs") == 2  # the second component pulls at the first
    assert len(to_model) <= TO_MODEL + 1


def test_a_retry_goes_the_same_way(
    cli: Callable[..., Any], corpus: Callable[..., str], quick: Callable[..., str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run = cli("run", corpus("UNSPEAKABLE"), "-p", quick(), "-o", out, "--quiet")
    assert run.code == 3
    with deepest_calls() as stacks:
        assert cli("retry", out, "--quiet").code == 3
    names = deepest(stacks, COMPONENT)
    assert names[-1] == "retry.retry"
    assert len(names) <= TO_COMPONENT, "\n".join(reversed(names))
