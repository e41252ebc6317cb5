"""The guides in docs/: every block runs, generated pages are those of the code, no page is lost."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from code_blocks import ROOT, RUNNABLE, Reader, blocks

DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md") if not path.name.startswith("_"))
AT_MOST_NOT_RUN = 6

sys.path.insert(0, str(DOCS))
import api_page  # noqa: E402
import generate  # noqa: E402
import meanings  # noqa: E402


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(b.language in RUNNABLE for b in blocks(DOCS / page))]
)
def test_the_blocks_of_a_page_in_their_order(page, cli, tmp_path, monkeypatch) -> None:
    reader = Reader(tmp_path, cli, monkeypatch)
    for block in blocks(DOCS / page):
        reader.read(block)


def test_a_block_that_does_not_run_says_why_and_is_rare() -> None:
    found = [(page, block) for page in PAGES for block in blocks(DOCS / page)]
    for page, block in found:
        # A generated page shows signatures, which are made of the code.
        runs = block.language in RUNNABLE or page in generate.PAGES
        assert runs or block.mark, f"{page}: {block.body}"
    not_run = [block for _, block in found if block.mark == "not run"]
    assert all(len(block.value or "") > 10 for block in not_run)
    assert len(not_run) <= AT_MOST_NOT_RUN


def test_every_page_is_in_the_table_of_contents() -> None:
    trees = re.findall(r"```{toctree}\n(.*?)```", (DOCS / "index.md").read_text("utf-8"), re.DOTALL)
    listed = {f"{name}.md" for tree in trees for name in re.findall(r"^(\w+)$", tree, re.MULTILINE)}
    assert {"index.md", *listed} == set(PAGES)


@pytest.mark.parametrize("page", generate.PAGES)
def test_a_generated_page_is_that_of_the_code(page: str) -> None:
    written = (DOCS / page).read_text(encoding="utf-8")
    assert written == generate.PAGES[page](), "type `make docs-generated`"


def test_the_interface_has_every_public_name() -> None:
    assert api_page.missing_names() == set()


def test_every_table_says_what_a_row_is() -> None:
    assert set(meanings.ROWS) == set(generate.COLUMNS)


@pytest.mark.parametrize("factory", generate.factories())
def test_every_setting_has_a_meaning_and_every_meaning_a_setting(factory: str) -> None:
    settings = set(generate.defaults(factory))
    assert settings <= set(generate.meanings(factory))
    assert set(meanings.SETTINGS[factory]) <= settings


def test_the_page_has_every_component_that_is_installed() -> None:
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    assert set(generate.factories()) == set(re.findall(r'"(llama_\w+) = nlp_pipeline', setup))
    assert set(generate.factories()) == set(meanings.COMPONENTS) - {"generators"}


def test_figures_name_commands_that_are_there() -> None:
    for page in PAGES:
        for name in re.findall(r"benchmarks/\w+\.py", (DOCS / page).read_text("utf-8")):
            assert (ROOT / name).is_file(), f"{page}: {name}"


def links(page: Path) -> list[str]:
    """The files that a page links to, as it names them."""
    return re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8"))


@pytest.mark.parametrize("page", [*(f"docs/{p}" for p in PAGES), "README.md", "CONTRIBUTING.md"])
def test_pages_link_to_files_that_are_there(page: str) -> None:
    """Also without Sphinx, which checks the anchors of docs/ as well."""
    path = ROOT / page
    assert [link for link in links(path) if not (path.parent / link).exists()] == []


def test_the_readme_leads_to_every_guide() -> None:
    """By itself or by way of docs/index.md, which names every page."""
    linked = {link for link in links(ROOT / "README.md") if link.startswith("docs/")}
    assert {"docs/index.md", "docs/quickstart.md", "docs/models.md"} <= linked
    named = set(re.findall(r"`(docs/\w+\.md)`", (ROOT / "README.md").read_text("utf-8")))
    assert named == set(), "name a guide by a link"
