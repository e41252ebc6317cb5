"""Proof on a device: what holds there, and how fast it is, in a few minutes.

    python benchmarks/device_check.py --out runs/device

Every section is a process of its own with a time limit; one that fails stops none. Each writes
`SECTION.json` and `SECTION.log` into the folder. Sections that time nothing run beside each other.
At the end: a table, the sections that failed, and one JSON line, which we are glad to be sent.
`--tiny` takes small shapes, for a machine without a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

BESIDE = {
    "kernels": 150,
    "gpu_tests": 200,
    "equality": 150,
    "bfloat16": 120,
    "waits": 120,
    "checkpoint": 150,
}
"""Sections that time nothing, and the seconds that each may take."""

ALONE = {"facts": 90, "attention": 90, "speed_1b": 150, "speed_8b": 200}
"""Sections that are timed, one after the other."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for results and logs")
    parser.add_argument("--tiny", action="store_true", help="small shapes, for a CPU")
    parser.add_argument("--only", nargs="*", help="these sections alone")
    parser.add_argument("--checkpoint", help="a model to compare with transformers in float32")
    parser.add_argument("--section", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.section:
        run_section(args.section, args.out, tiny=args.tiny)
        return
    sections = {**BESIDE, **ALONE}
    chosen = [name for name in sections if args.only is None or name in args.only]
    if args.checkpoint:
        os.environ["DEVICE_CHECKPOINT"] = args.checkpoint
    else:
        chosen = [name for name in chosen if name != "checkpoint"]
    started = {name: start(name, args) for name in chosen if name in BESIDE}
    failed = [name for name, process in started.items() if not ended(process, BESIDE[name])]
    for name in chosen:
        if name in ALONE and not ended(start(name, args), ALONE[name]):
            failed.append(name)
    results = {name: read(args.out / f"{name}.json") for name in chosen}
    for name, result in results.items():
        show(name, result, name in failed)
    print("failed:", ", ".join(failed) or "none")
    print(json.dumps({"sections": results, "failed": failed}))
    sys.exit(bool(failed))


def start(name: str, args: argparse.Namespace) -> subprocess.Popen[bytes]:
    """A section in a process of its own."""
    command = [sys.executable, __file__, "--section", name, "--out", str(args.out)]
    paths = [str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with (args.out / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [*command, *(["--tiny"] if args.tiny else [])],
            stdout=log, stderr=subprocess.STDOUT, env=environment,
        )  # fmt: skip


def ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether a section has ended well, and in time."""
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        return False


def run_section(name: str, out: Path, *, tiny: bool) -> None:
    """Runs one section here, and writes what it returns, or had noted when it failed."""
    import device_sections
    import device_speed

    notes: dict[str, Any] = {}
    section = getattr(device_sections, name, None) or getattr(device_speed, name)
    before = time.perf_counter()
    try:
        section(notes, tiny=tiny)
    finally:
        notes["seconds"] = round(time.perf_counter() - before, 1)
        (out / f"{name}.json").write_text(json.dumps(notes))


def read(path: Path) -> dict[str, Any]:
    """What a section wrote; nothing where it did not come so far."""
    return dict(json.loads(path.read_text())) if path.exists() else {}


def show(name: str, result: dict[str, Any], failed: bool) -> None:
    """A section's part of the table."""
    print(f"{name}{' FAILED' if failed else ''}")
    for key, value in result.items():
        text = f"{value:.4g}" if isinstance(value, float) else value
        print(f"    {key:44} {text}")


if __name__ == "__main__":
    main()
