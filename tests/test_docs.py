"""Every command of the guides in docs/ runs as it stands, in its order."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("guide", ["resuming.md", "report.md"])
def test_the_commands_of_a_guide(guide, cli, tmp_path, monkeypatch) -> None:
    """Runs take the echo generator and few documents here; all else is as it stands."""
    for name in ("corpora", "pipelines"):
        os.symlink(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    bodies = BLOCK.findall((ROOT / "docs" / guide).read_text(encoding="utf-8"))
    commands = [line for body in bodies for line in body.replace("\\\n", " ").splitlines()]
    assert len(commands) > 2
    for command in commands:
        words = shlex.split(command, comments=True)[1:]
        more = ["--dry-run", "--limit", "2"] if words[0] == "run" else []
        done = cli(*words, *more)
        assert done.code == 0, f"{command}: {done.err}"
