"""The README's map and the tree agree."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINE = re.compile(r"^(?P<indent>[│ ]*)(?:├──|└──) (?P<names>[^ ]+(?:  ?[^ ]+)*?)(?: {2,}.*)?$")


def mapped_paths() -> set[str]:
    """Every path that the map at the end of the README names."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text[text.index("## The map") :].split("```")[1]
    paths: set[str] = set()
    parents: list[str] = []
    for line in block.strip().splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        depth = len(match["indent"]) // 4
        name = match["names"].split()[0]
        parents = [*parents[:depth], name.rstrip("/")]
        paths.add("/".join(parents))
    return paths


def tracked_paths() -> set[str]:
    """Top-level entries and the package's first level, as git has them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    files = [Path(name) for name in listed if (ROOT / name).exists()]
    top = {path.parts[0] for path in files}
    inside = {"/".join(p.parts[:2]) for p in files if p.parts[0] == "nlp_pipeline"}
    rooms = {
        "/".join(p.parts[:3])
        for p in files
        if p.parts[:2] == ("nlp_pipeline", "generation") and len(p.parts) > 3
    }
    return top | inside | rooms


def unlisted(path: str) -> bool:
    """What a map need not name."""
    return path.startswith(".") or path.endswith(("__init__.py", "__main__.py", "py.typed"))


def test_every_path_of_the_map_exists() -> None:
    missing = sorted(path for path in mapped_paths() if not (ROOT / path).exists())
    assert not missing, f"the README's map names what is not there: {missing}"


def test_every_room_is_on_the_map() -> None:
    absent = sorted(p for p in tracked_paths() - mapped_paths() if not unlisted(p))
    assert not absent, f"the README's map lacks: {absent}"
