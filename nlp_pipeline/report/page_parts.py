"""What a page that needs no network is put together from: assets, data, a policy."""

from __future__ import annotations

import base64
import hashlib
import html
import zlib
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import IO, Any

import orjson

from nlp_pipeline.run_folder.files import disk_errors, sweep_beside, write_atomically


def asset(name: str, package: str = "nlp_pipeline.report") -> str:
    """A file of a package's folder `page`."""
    return (files(package) / "page" / name).read_text("utf-8")


def page_script(scripts: Sequence[str]) -> str:
    """The texts of scripts as the only one of a page."""
    return '"use strict";\n' + "\n".join(scripts)


def page_ends(template: str, *, title: str, style: str, script: str) -> tuple[str, str]:
    """What stands before and after the data of a page.

    A Content-Security-Policy allows this script and this style by their digests, and no address.

    Args:
        template: The page, with `<!-- data -->` where the data goes.
        title: Its title.
        style: Its only style sheet.
        script: Its only script.
    """
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; "
        f"style-src '{_digest(style)}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    head, tail = template.split("<!-- data -->")
    for mark, text in {"policy": policy, "title": html.escape(title), "style": style}.items():
        head = head.replace("{{ " + mark + " }}", text)
    return head, tail.replace("{{ script }}", script)


def packed_data(name: str, value: Any) -> str:
    """Compressed JSON as a script that is none: nothing in it can be read as markup."""
    packed = zlib.compress(orjson.dumps(value), 6)
    return f'<script type="text/plain" id="{name}">{base64.b64encode(packed).decode()}</script>\n'


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def write_page(file: Path, write: Callable[[IO[str]], None]) -> Path:
    """Writes a page beside its place, and moves it there when it is whole.

    Args:
        file: The page.
        write: Is given the open page.

    Returns:
        The file.

    Raises:
        OutputNotWritable: The file cannot be written.
    """

    def write_file(path: Path) -> None:
        with path.open("w", encoding="utf-8") as page:
            write(page)

    with disk_errors(file.parent):
        file.parent.mkdir(parents=True, exist_ok=True)
        sweep_beside(file)
        write_atomically(file, write_file)
    return file
