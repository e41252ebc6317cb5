"""The header of a GGUF file, read within the bounds of the file.

Its counts say how much is to be read, and readers believe them: a file of 60 bytes that claims
2**60 values keeps one busy for ever. Here every count is held against the bytes that are left.

Source: the specification of GGUF in the ggml project (versions 2 and 3).
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.generation import CheckpointUnreadable
from nlp_pipeline.errors.meta import GgufImplausible

_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _ARRAY = 8, 9
_DEEPEST = 4
_MOST_DIMENSIONS = 8
_LEAST_BYTES = {"value": 13, "tensor": 24, "item": 1, "text": 8}
"""What an entry of each kind takes at least."""

_CALLED = {"value": "values", "tensor": "tensors", "item": "bytes", "text": "items of a list"}

ELEMENTS_PER_BYTE = 8
"""No format packs weights closer."""


@dataclass(frozen=True)
class GgufHeader:
    """What a GGUF file says of itself.

    Attributes:
        values: Its numbers, flags and texts by key, arrays left out.
        tensors: Shapes by tensor name, in the file's order of dimensions.
    """

    values: Mapping[str, Any]
    tensors: Mapping[str, tuple[int, ...]]


def read_header(file: Path) -> GgufHeader:
    """Reads the header of a GGUF file, arrays skipped.

    Raises:
        GgufImplausible: It claims more than the file can hold.
        CheckpointUnreadable: It is no GGUF file, or cut off.
    """
    size = file.stat().st_size
    if size < 24:
        raise CheckpointUnreadable(str(file), "it ends within its header")
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        reader = _Reader(file, data, size)
        try:
            return reader.header()
        except struct.error as error:
            raise CheckpointUnreadable(str(file), "it ends within its header") from error


@dataclass
class _Reader:
    """Reads values one after the other from a GGUF header."""

    file: Path
    data: mmap.mmap
    size: int
    place: int = 4
    order: str = "<"
    values: dict[str, Any] = field(default_factory=dict)

    def header(self) -> GgufHeader:
        version = self.number("I")
        if version & 0xFFFF == 0:  # written on a machine of the other byte order
            self.order, self.place = ">", 4
            version = self.number("I")
        if version not in (2, 3):
            raise CheckpointUnreadable(
                str(self.file), f"it is of GGUF version {version}, not 2 or 3"
            )
        tensors, values = self.number("Q"), self.number("Q")
        self.hold(values, "value")
        self.hold(tensors, "tensor")
        for _ in range(values):
            key = self.text()
            value = self.value(self.number("I"), 0)
            if value is not None:
                self.values[key] = value
        return GgufHeader(self.values, dict(self.tensor() for _ in range(tensors)))

    def tensor(self) -> tuple[str, tuple[int, ...]]:
        """Name and shape; type and place are passed over."""
        name, dimensions = self.text(), self.number("I")
        if dimensions > _MOST_DIMENSIONS:
            raise GgufImplausible(str(self.file), f"{dimensions} dimensions of '{name}'", self.size)
        shape = tuple(self.number("Q") for _ in range(dimensions))
        if math.prod(shape) > self.size * ELEMENTS_PER_BYTE:
            raise GgufImplausible(
                str(self.file), f"{math.prod(shape)} weights of '{name}'", self.size
            )
        self.skip(12)
        return name, shape

    def value(self, kind: int, depth: int) -> Any:
        """A value of any kind; None for an array."""
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY or depth > _DEEPEST:
            raise CheckpointUnreadable(str(self.file), f"it has a value of the unknown kind {kind}")
        inner, count = self.number("I"), self.number("Q")
        if inner in _SCALARS:
            width = struct.calcsize(f"<{_SCALARS[inner]}")
            self.hold(count * width, "item")
            self.skip(count * width)
            return None
        self.hold(count, "text")
        for _ in range(count):
            self.value(inner, depth + 1)
        return None

    def text(self) -> str:
        length = self.number("Q")
        self.hold(length, "item")
        start = self.place
        self.skip(length)
        return self.data[start : self.place].decode("utf-8", errors="replace")

    def number(self, code: str) -> Any:
        (value,) = struct.unpack_from(f"{self.order}{code}", self.data, self.place)
        self.place += struct.calcsize(f"<{code}")
        return value

    def skip(self, length: int) -> None:
        self.place += length

    def hold(self, count: int, kind: str) -> None:
        """Refuses a count for which the rest of the file has no room."""
        if count * _LEAST_BYTES[kind] > self.size - self.place:
            raise GgufImplausible(str(self.file), f"{count} {_CALLED[kind]}", self.size)
