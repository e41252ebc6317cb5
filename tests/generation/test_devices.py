from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nlp_pipeline import environment
from nlp_pipeline.errors.generation import DeviceUnavailable, InvalidDtype, ModelDoesNotFit
from nlp_pipeline.generation.devices import (
    available_devices,
    emulates_bfloat16,
    fitting,
    resolve_device,
    resolve_dtype,
    why_no_cuda,
)
from nlp_pipeline.generation.engine.attention.packed_batch import PackedBatch
from nlp_pipeline.generation.engine.hf_attention import LayerShape
from nlp_pipeline.generation.engine.kv_cache.slot_pool import Slab, Slot
from nlp_pipeline.generation.engine.sampling.sampler import GREEDY
from nlp_pipeline.generation.engine.scheduled_tokens import ScheduledTokens
from nlp_pipeline.generation.engine.sequence_state import SequenceState
from nlp_pipeline.generation.engine.transfer import upload
from nlp_pipeline.generation.interface import SamplingParams
from nlp_pipeline.generation.loading.load import load
from nlp_pipeline.generation.sequence import Sequence

no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")


def test_the_cpu_is_always_there() -> None:
    assert available_devices()[-1] == "cpu"
    assert resolve_device("cpu") == torch.device("cpu")


def test_auto_takes_the_best() -> None:
    assert str(resolve_device("auto")) == available_devices()[0]


@pytest.mark.parametrize(
    ("gpus", "mps", "there"),
    [
        (2, False, ["cuda", "cuda:0", "cuda:1", "cpu"]),
        (0, True, ["mps", "cpu"]),
        (1, True, ["cuda", "cuda:0", "mps", "cpu"]),
        (0, False, ["cpu"]),
    ],
)
def test_cuda_then_mps_then_the_cpu(
    gpus: int, mps: bool, there: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert available_devices() == there
    assert resolve_device("auto") == torch.device(there[0])
    assert [str(resolve_device(name)) for name in there] == there


def test_inputs_are_made_on_the_models_device() -> None:
    """A device that holds no numbers shows where the tensors of a step are made."""
    meta = torch.device("meta")
    shape = LayerShape(2, 8, torch.float32, meta)
    slab = Slab([shape], 2, 128)
    chunks = [
        ScheduledTokens(_row(slab.slots[0], length=5), 5),
        ScheduledTokens(_row(slab.slots[1], length=7, computed=6), 1),
    ]
    batch = PackedBatch(chunks, shape)
    key = torch.zeros(1, 2, 6, 8, device=meta)
    assert batch.attend(0, torch.zeros(1, 4, 6, 8, device=meta), key, key, 1.0).is_meta
    assert batch.ids.is_meta
    assert batch.positions.is_meta
    assert upload([1, 2], meta).is_meta


def _row(slot: Slot, *, length: int, computed: int = 0) -> SequenceState:
    slot.computed = computed
    return SequenceState.start(
        Sequence("a", [1] * length, SamplingParams()),
        slot,
        sampler=GREEDY,
        eos_token_ids=frozenset(),
        token_bytes=lambda token: b"",
        max_seq_len=100,
    )


@no_cuda
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7"])
def test_a_device_that_is_not_there(device: str) -> None:
    there = ", ".join(["auto", *available_devices()])
    with pytest.raises(DeviceUnavailable) as caught:
        resolve_device(device)
    assert str(caught.value) == (
        f"Device '{device}' was asked for and is not there ({why_no_cuda()}); there is: {there}. "
        "Use --device auto or one of these."
    )


@pytest.mark.parametrize("device", ["gpu", "", "CPU", "meta", "cuda:x"])
def test_a_device_that_cannot_be(device: str) -> None:
    with pytest.raises(DeviceUnavailable):
        resolve_device(device)


def test_why_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(DeviceUnavailable, match=r"there \(torch \S+ was built without CUDA\); "):
        resolve_device("cuda")

    def too_old() -> None:
        raise RuntimeError(
            "The NVIDIA driver on your system is too old (found version 11040).\nMore"
        )

    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "init", too_old)
    with pytest.raises(DeviceUnavailable, match=r"\(The NVIDIA driver .*11040\)\); there"):
        resolve_device("cuda:0")
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    with pytest.raises(DeviceUnavailable, match=r"\(torch sees no GPU\)"):
        resolve_device("cuda:3")


def test_an_index_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(DeviceUnavailable) as caught:
        resolve_device("cuda:7")
    assert str(caught.value) == (
        "Device 'cuda:7' was asked for and is not there; there is: auto, cuda, cuda:0, cuda:1, "
        "cpu. Use --device auto or one of these."
    )


def test_what_does_not_fit() -> None:
    with pytest.raises(ModelDoesNotFit) as caught, fitting("big", torch.device("cuda:0")):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.\n Tried to allocate 2 GiB.")
    assert str(caught.value) == (
        "Model 'big' does not fit on cuda:0 (CUDA out of memory. Tried to allocate 2 GiB). What "
        "may help: --dtype bfloat16, --quantization int8 or int4, --device-map auto or torchrun "
        "with --tensor-parallel-size over several GPUs, a smaller model, or --device cpu."
    )


@pytest.mark.gpu
def test_auto_takes_cuda() -> None:
    assert resolve_device("auto").type == "cuda"
    assert resolve_dtype("auto", torch.device("cuda")) == torch.bfloat16


def test_dtypes() -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert resolve_dtype("auto", cpu) == torch.float32
    assert resolve_dtype("auto", cuda) == torch.bfloat16
    assert resolve_dtype("float64", cuda) == torch.float64


@pytest.mark.parametrize("dtype", ["fp16", "int8", ""])
def test_a_dtype_that_is_not_known(dtype: str) -> None:
    with pytest.raises(InvalidDtype) as caught:
        resolve_dtype(dtype, torch.device("cpu"))
    assert str(caught.value) == (
        f"dtype '{dtype}' is not known; use one of: auto, float16, bfloat16, float32, float64."
    )


@pytest.mark.parametrize(
    ("cpuinfo", "emulated"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_vnni\n", True),
        ("flags\t\t: fpu avx512_bf16 amx_tile\n", False),
        ("flags\t\t: amx_bf16 amx_int8\n", False),
        ("Features\t: fp asimd i8mm bf16\n", False),
        ("Features\t: fp asimd\n", True),
        ("processor\t: 0\n", False),
        (None, False),
    ],
)
def test_who_multiplies_bfloat16_himself(
    cpuinfo: str | None, emulated: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        path.write_text(cpuinfo)
    monkeypatch.setattr(environment, "CPUINFO", path)
    assert emulates_bfloat16(torch.device("cpu")) is emulated
    assert not emulates_bfloat16(torch.device("meta"))


def test_a_slow_dtype_is_told(
    tiny_llama: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(environment, "CPUINFO", tmp_path / "cpuinfo")
    environment.CPUINFO.write_text("flags : avx2\n")
    load(tiny_llama, device="cpu", dtype="float32")
    assert not caplog.records
    load(tiny_llama, device="cpu", dtype="bfloat16")
    (record,) = caplog.records
    assert record.getMessage() == (
        "This processor does not multiply bfloat16 itself: dtype bfloat16 takes half of "
        "float32's memory on it, and twice as long or longer. To be fast leave dtype out."
    )
