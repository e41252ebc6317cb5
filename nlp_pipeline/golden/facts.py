"""What a golden output was made with, and what of it is different here."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nlp_pipeline.environment import processor_field, versions
from nlp_pipeline.errors.golden import made_with_others, not_portable_here

if TYPE_CHECKING:
    from nlp_pipeline.golden.store import Golden

SAME_PLATFORM = ("system", "machine", "cpu_capability", "torch_threads")
"""What decides how sums are rounded; the processor's name is only told."""


def this_platform() -> dict[str, Any]:
    """The machine as far as it decides how sums are rounded. Imports torch.

    `cpu_capability` is the widest instruction set that torch uses here, such as `AVX2`.
    """
    import torch

    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu": processor_field("model name") or platform.processor() or platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def facts(
    generators: Iterable[Mapping[str, Any]] = (), spacy_pipelines: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """What `golden.json` says under `made_with`.

    Args:
        generators: Backend, model and details of each, as a run's fingerprint has them.
        spacy_pipelines: Their versions.
    """
    unique_generators: list[dict[str, Any]] = []
    for generator in generators:
        if dict(generator) not in unique_generators:
            unique_generators.append(dict(generator))
    return {
        "generators": unique_generators,
        "spacy_pipelines": dict(spacy_pipelines or {}),
        "versions": versions(),
        "platform": this_platform(),
    }


def is_portable(made_with: Mapping[str, Any]) -> bool:
    """Whether other machines should give the same: every model computes in float64, or is none.

    In float64 the rounding of another processor is far too small to turn a choice of the model.
    """
    return all(
        g["backend"] == "echo" or g.get("dtype") == "float64" for g in made_with["generators"]
    )


def model_digests(made_with: Mapping[str, Any]) -> list[str]:
    """Each model and the start of its digest."""
    named = [(g["model"], g.get("digest")) for g in made_with["generators"]]
    return [f"{model} ({str(digest)[:16]})" for model, digest in named if digest]


def platform_line(made_with: Mapping[str, Any]) -> str:
    """The platform, torch and the devices in words, for a message."""
    machine, devices = made_with["platform"], sorted(_devices(made_with))
    return (
        f"{machine['system']} {machine['machine']}, {machine['cpu']} "
        f"({machine['cpu_capability']}), "
        f"{machine['torch_threads']} threads, torch {made_with['versions']['torch']}"
        + (f", on {', '.join(devices)}" if devices else "")
        + (f" ({machine['gpu']})" if _on_gpu(made_with) else "")
    )


def same_platform(recorded: Mapping[str, Any], current: Mapping[str, Any]) -> bool:
    """Whether sums are rounded alike: same instructions, threads, torch and device."""
    return _rounding(recorded) == _rounding(current)


def recorded_elsewhere(golden: Golden) -> str | None:
    """Why a golden output cannot be expected to be the same here; None if it can."""
    recorded = golden.made_with
    if golden.portable:
        return None
    from nlp_pipeline.generation.devices import resolve_device

    named = golden.recipe.spec.overrides.get("device") if golden.recipe else None
    device = named or str(resolve_device("auto"))
    generators = [{**g, "device": device} if "device" in g else g for g in recorded["generators"]]
    current = {"generators": generators, "versions": versions(), "platform": this_platform()}
    if same_platform(recorded, current):
        return None
    return not_portable_here(platform_line(recorded), platform_line(current))


def _rounding(made_with: Mapping[str, Any]) -> list[Any]:
    platform_facts = made_with["platform"]
    names = [*SAME_PLATFORM, "gpu"] if _on_gpu(made_with) else SAME_PLATFORM
    return [
        made_with["versions"].get("torch"),
        _devices(made_with),
        *map(platform_facts.get, names),
    ]


def _devices(made_with: Mapping[str, Any]) -> set[str]:
    return {str(g["device"]) for g in made_with["generators"] if g.get("device")}


def _on_gpu(made_with: Mapping[str, Any]) -> bool:
    return any(device.startswith("cuda") for device in _devices(made_with))


def notes(recorded: Mapping[str, Any], current: Mapping[str, Any], *, portable: bool) -> list[str]:
    """What else is not as at the recording and may explain a difference."""
    lines = []
    if not portable and not same_platform(recorded, current):
        lines.append(not_portable_here(platform_line(recorded), platform_line(current)))
    listed = current["versions"]  # a package that is not looked at any more explains nothing
    old, new = (
        {name: version for name, version in facts_["versions"].items() if name in listed}
        | facts_["spacy_pipelines"]
        for facts_ in (recorded, current)
    )
    differing = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if differing:
        lists = (", ".join(f"{n} {facts_.get(n)}" for n in differing) for facts_ in (old, new))
        lines.append(made_with_others(*lists))
    return lines
