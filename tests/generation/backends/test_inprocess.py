from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import pytest

from nlp_pipeline.errors.generation import InvalidModelSetting, ModelNotFound
from nlp_pipeline.generation.backends.inprocess import BACKEND, LlamaGenerator, LlamaSettings
from nlp_pipeline.generation.interface import GenerationRequest, generate


def tiny_settings(tiny_llama: str, **more: Any) -> LlamaSettings:
    return LlamaSettings(tiny_llama, device="cpu", dtype="float64", max_seq_len=64, **more)


def test_equal_settings_share_one_loaded_model(tiny_llama: str) -> None:
    one, two = (LlamaGenerator(tiny_settings(tiny_llama)) for _ in range(2))
    other = LlamaGenerator(tiny_settings(tiny_llama, max_batch_size=2))
    assert one.llama is two.llama
    assert one.llama is not other.llama
    assert copy.deepcopy(one) is one
    assert pickle.loads(pickle.dumps(one)).llama is one.llama
    one.close()
    one.close()
    assert LlamaGenerator(tiny_settings(tiny_llama)).llama is not two.llama


def test_completes(tiny_llama: str) -> None:
    generator = LlamaGenerator(tiny_settings(tiny_llama))
    (done,) = generate(generator, [GenerationRequest("a", "Who?")])
    assert done.error is None
    assert generator.count_tokens("a") == 1
    assert (generator.info.backend, generator.info.model) == (BACKEND, tiny_llama)
    assert generator.info.max_seq_len == 64


def test_a_model_that_is_not_there_is_named_when_it_is_needed() -> None:
    generator = LlamaGenerator(LlamaSettings("nothing"))
    with pytest.raises(ModelNotFound, match="Model 'nothing'"):
        generator.session()


def test_settings_are_checked_at_once() -> None:
    with pytest.raises(InvalidModelSetting, match=r"^max_batch_size='8' is not possible"):
        LlamaSettings(max_batch_size="8")  # type: ignore[arg-type]


def test_naming_a_model_imports_no_torch() -> None:
    code = (
        "import sys; from nlp_pipeline.generation.backends.inprocess import *; "
        "LlamaGenerator(LlamaSettings()); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
