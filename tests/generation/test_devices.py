from __future__ import annotations

import pytest
import torch

from nlp_pipeline.errors.generation import DeviceUnavailable, InvalidDtype
from nlp_pipeline.generation.devices import available_devices, resolve_device, resolve_dtype

no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")


def test_the_cpu_is_always_there() -> None:
    assert available_devices()[-1] == "cpu"
    assert resolve_device("cpu") == torch.device("cpu")


def test_auto_takes_the_best() -> None:
    assert str(resolve_device("auto")) == available_devices()[0]


@no_cuda
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:7"])
def test_a_device_that_is_not_there(device: str) -> None:
    there = ", ".join(["auto", *available_devices()])
    with pytest.raises(DeviceUnavailable) as caught:
        resolve_device(device)
    assert str(caught.value) == (
        f"Device '{device}' was asked for and is not there; there is: {there}. Use --device auto "
        "or one of these."
    )


@pytest.mark.parametrize("device", ["gpu", "", "CPU", "meta", "cuda:x"])
def test_a_device_that_cannot_be(device: str) -> None:
    with pytest.raises(DeviceUnavailable):
        resolve_device(device)


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
