"""What is told of a run while it goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

_LONGEST_VALUE = 500


class RunObserver(Protocol):
    """Is told how a run begins, of each document, and how it ends."""

    def begin(self, manifest: Mapping[str, Any]) -> None:
        """The run begins; its manifest without the figures of the end."""
        ...

    def document(self, *, failed: bool, output_tokens: int) -> None:
        """The rows of one more document are safe."""
        ...

    def end(self, figures: Mapping[str, float]) -> None:
        """All is done; the counts and rates of this process."""
        ...

    def close(self, error: BaseException | None) -> None:
        """Nothing follows; what ended the run, where it did not end by itself."""
        ...


def facts(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a manifest says of a run as names and short texts.

    The settings of the pipeline are those of its fingerprint, as `components.llama_qa.mode`.
    Neither the corpus' texts nor the command with its words are among them.
    """
    for name in ("pipeline", "format", "python", "platform"):
        yield name, str(manifest.get(name))
    mark = manifest.get("fingerprint") or {}
    for name, version in (mark.get("versions") or {}).items():
        if version is not None:
            yield f"version.{name}", str(version)
    for number, generator in enumerate(mark.get("generators") or ()):
        yield f"generator.{number}.backend", str(generator.get("backend"))
        yield f"generator.{number}.model", str(generator.get("model"))
    for name, value in mark.items():
        if isinstance(value, str) and name.startswith(("components.", "nlp.")):
            yield name, value[:_LONGEST_VALUE]
