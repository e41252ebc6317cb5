"""What this machine has: versions, devices, spaCy pipelines, extras. For manifests and `info`."""

from __future__ import annotations

import os
import platform
import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PACKAGES = (
    "spacy",
    "torch",
    "transformers",
    "pandas",
    "pyarrow",
    "click",
    "gguf",
)
"""Packages whose versions can change a result or explain a failure."""

DISTRIBUTION = "nlp-pipeline-spacy-llama"
"""What pip calls this package. `nlp-pipeline` is another project, with the same import name."""
NAMESAKE = "nlp-pipeline"
NOT_FOR_USERS = frozenset({"dev", "test"})
CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Extra:
    """An extra of this package, and what of it is not installed.

    Attributes:
        name: As in `pip install -e '.[name]'` in a checkout.
        requires: Its requirements on this Python.
        missing: Those that are not installed, or not in a version that will do.
    """

    name: str
    requires: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def install(self) -> str | None:
        """The command that installs what is missing; None if nothing is."""
        return pip_install(self.missing) if self.missing else None


def pip_install(requirements: Iterable[str]) -> str:
    """A command to type; requirements with characters of the shell's own are quoted."""
    return f"pip install {shlex.join(requirements)}"


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution, without importing it; None if there is none."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str | None]:
    """Versions of Python, this package and `PACKAGES`; None for one that is not installed."""
    from nlp_pipeline import __version__

    by_package: dict[str, str | None] = {"python": platform.python_version()}
    by_package["nlp-pipeline"] = __version__
    return by_package | {name: installed_version(name) for name in PACKAGES}


def distribution() -> dict[str, str | None]:
    """Which distribution this package belongs to.

    Returns:
        `name` and `version`: its own; the version is None for a checkout that is not installed.
        `namesake`: the version of an installed distribution that has the same import name, whose
        files may stand in the place of this package's; None if there is none.
    """
    return {
        "name": DISTRIBUTION,
        "version": installed_version(DISTRIBUTION),
        "namesake": installed_version(NAMESAKE),
    }


def devices() -> dict[str, Any]:
    """Where a model can run, as torch sees it. Imports torch.

    Returns:
        `cpu`: cores of the machine and threads that torch uses; `cuda`: one entry per GPU with
        its name and memory in bytes; `mps`: whether Apple's GPU can be used; `distributed`:
        which communication libraries torch has.
    """
    import torch

    gpus = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    groups = torch.distributed
    is_distributed = groups.is_available()
    return {
        "cpu": {"cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "cuda": [{"name": gpu.name, "memory_bytes": gpu.total_memory} for gpu in gpus],
        "mps": torch.backends.mps.is_available(),
        "distributed": {
            "nccl": is_distributed and groups.is_nccl_available(),
            "gloo": is_distributed and groups.is_gloo_available(),
        },
    }


def processor_field(*names: str) -> str:
    """What Linux says of the first processor under one of some names; empty where nobody says it.

    Args:
        names: In small letters, such as `model name`, or `flags`, which ARM calls `features`.
    """
    if CPUINFO.is_file():
        for line in CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, text = line.partition(":")
            if name.strip().lower() in names:
                return text.strip()
    return ""


def spacy_pipelines() -> dict[str, str]:
    """Installed spaCy pipeline packages and their versions, without importing spaCy."""
    entry_points = metadata.entry_points(group="spacy_models")
    return {entry.name: entry.dist.version if entry.dist else "" for entry in entry_points}


def shipped_pipelines() -> list[str]:
    """Names of the pipelines that come with this package: `pipelines/*.cfg`."""
    try:
        folder = resources.files("nlp_pipeline.pipelines")
    except ModuleNotFoundError:  # a checkout that is on the path and not installed
        folder = Path(__file__).parents[1] / "pipelines"
    return sorted(item.name[:-4] for item in folder.iterdir() if item.name.endswith(".cfg"))


def extras(
    requires: Iterable[str] | None = None,
    version_of: Callable[[str], str | None] = installed_version,
) -> list[Extra]:
    """The extras that users may want, and what of them is missing.

    Args:
        requires: Requirements with markers, as a wheel's metadata has them; the installed
            package's own if None. A package that is not installed has none.
        version_of: The version of an installed distribution, or None.
    """
    from packaging.requirements import Requirement

    requirements = _own_requirements() if requires is None else requires
    parsed = [item for item in map(Requirement, requirements) if "extra" in str(item.marker)]
    names = {name for item in parsed for name in _EXTRA.findall(str(item.marker))}
    listed = []
    for name in sorted(names - NOT_FOR_USERS):
        # A marker such as `python_version < "3.14"` may rule a requirement out on this Python.
        needed = [item for item in parsed if item.marker and item.marker.evaluate({"extra": name})]
        missing = [item for item in needed if not _fits(item, version_of(item.name))]
        listed.append(
            Extra(
                name, tuple(map(_requirement_text, needed)), tuple(map(_requirement_text, missing))
            )
        )
    return listed


_EXTRA = re.compile(r"""extra == ["']([^"']+)["']""")


def _fits(requirement: Requirement, version: str | None) -> bool:
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def _requirement_text(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"


def _own_requirements() -> list[str]:
    try:
        return metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
