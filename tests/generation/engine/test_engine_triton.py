"""The Triton kernels against torch's operations, under Triton's interpreter: no GPU is needed."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")


def test_kernels_under_the_interpreter() -> None:
    """In a process of its own: what a kernel is has to be said before Triton is imported."""
    script = Path(__file__).with_name("interpret_kernels.py")
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "all equal"
