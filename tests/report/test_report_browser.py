"""The page in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline import read_run
from nlp_pipeline.report import page_writer, write_report
from nlp_pipeline.report.documents import read_documents

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def page_file(out: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(out, tmp_path_factory.mktemp("page") / "page.html", title="Six <documents>")


@pytest.fixture
def page(open_page: Callable[..., Any], page_file: Path) -> Any:
    return open_page(page_file)


def rows(page: Any, many: int) -> None:
    """Waits until the list has so many rows."""
    from playwright.sync_api import expect

    expect(page.locator(".row")).to_have_count(many)


def wait_for(page: Any, selector: str, text: str) -> None:
    """Waits until an element has this text."""
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_have_text(text)


def ids(page: Any) -> list[str]:
    return page.locator(".row-id").all_inner_texts()


def show(page: Any, document_id: str) -> None:
    """Chooses a document and waits until it is there."""
    if page.locator("#view-documents").is_hidden():
        page.click("#tab-documents")
    page.locator(".row", has=page.get_by_text(document_id, exact=True)).click()
    wait_for(page, "#document h2", document_id)


def test_the_overview_counts(page: Any) -> None:
    tiles = page.locator(".tile").all_inner_texts()
    assert tiles[0].split("\n") == ["6", "documents"]
    assert page.title() == "Six <documents>"
    assert "Who <b>is</b> named?" in page.locator(".question").first.inner_text()
    assert page.locator("figcaption").all_inner_texts()[0] == "Answers per question"


def test_a_click_on_an_answer_lights_its_characters(page: Any, out: Path) -> None:
    answers = read_run(out, "answers")["answers"]
    texts = read_run(out, "documents")["documents"].set_index("document_id").text
    for document_id in ("plain", "astral"):
        row = answers[(answers.document_id == document_id) & (answers.question_id == "who")].iloc[0]
        expected = texts[document_id][row.start_char : row.end_char]
        assert expected == "Ada Lovelace"
        show(page, document_id)
        page.locator(".card.answer.ok").first.click()
        page.mouse.move(5, 400)  # pinned: it stays lit when the pointer goes
        lit = page.evaluate(
            "[...document.querySelectorAll('.hit')].map(n => n.textContent).join('')"
        )
        assert lit == expected
        assert page.locator(".sentence.evidence").count() == 1
        page.locator(".card.answer.ok").first.click()
        page.mouse.move(5, 400)
        page.locator("h2").click()
        assert (
            page.evaluate("document.activeElement.blur(), document.querySelectorAll('.hit').length")
            == 0
        )


def test_the_text_on_the_page_is_that_of_the_document(page: Any, out: Path) -> None:
    for row in read_run(out, "documents")["documents"].itertuples():
        if row.status == "error" and row.document_id == "empty":
            continue
        show(page, str(row.document_id))
        shown = page.evaluate(
            "[...document.querySelectorAll('.segment')].map(n => n.textContent).join('')"
        )
        assert shown == row.text


def test_entities_have_displacys_colours(page: Any) -> None:
    show(page, "plain")
    mark = page.locator("mark.entity").first
    assert mark.inner_text().replace("\n", "") == "Ada LovelacePERSON"
    assert mark.evaluate("node => getComputedStyle(node).backgroundColor") == "rgb(170, 156, 252)"


def test_filters_and_search(page: Any) -> None:
    page.click("#tab-documents")
    assert len(ids(page)) == 6
    page.select_option("#by-label", "PERSON")
    rows(page, 2)
    assert ids(page) == ["plain", "astral"]
    page.fill("#search", "王小明")
    rows(page, 1)
    assert ids(page) == ["astral"]
    assert page.locator("#found").inner_text() == "1 of 6 documents"
    page.click("#clear")
    rows(page, 6)
    page.select_option("#by-question", "who")
    page.select_option("#by-answer", "ok")
    rows(page, 5)
    assert "empty" not in ids(page)
    page.click("#clear")
    page.fill("#search", "IN 1843")  # an answer, in another case
    rows(page, 1)
    assert ids(page) == ["numbers"]
    page.fill("#search", "no such words")
    rows(page, 0)


def test_a_bar_leads_to_its_documents(page: Any) -> None:
    page.locator("figure", has_text="Entities").locator("button.line").first.click()
    rows(page, 2)
    assert page.locator("#by-label").input_value() == "PERSON"


def test_the_keyboard_does_it_all(page: Any) -> None:
    page.keyboard.press("/")
    page.keyboard.type("ada")
    rows(page, 2)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.wait_for_selector("h2")
    first = page.locator("h2").inner_text()
    page.keyboard.press("j" if first == "plain" else "k")
    wait_for(page, "h2", "astral" if first == "plain" else "plain")
    page.keyboard.press("n")
    page.keyboard.press("Enter")
    assert page.locator(".hit").count() > 0
    page.keyboard.press("Escape")
    rows(page, 6)


def test_the_tree_of_a_sentence(page: Any) -> None:
    show(page, "plain")
    page.locator(".sentence").first.click()
    assert page.locator(".tree .word").all_text_contents() == ["Ships", "left", "early", "."]
    assert page.locator(".tree .dep").all_text_contents() == ["dep<i>"] * 3
    page.locator(".sentence").first.click()
    assert page.locator(".tree").count() == 0


def test_what_a_document_holds_is_never_markup(page: Any, out: Path) -> None:
    hostile = read_run(out, "documents")["documents"].document_id[2]
    show(page, hostile)
    for node in page.locator(".sentence").all():
        node.click()
    for node in page.locator(".card.answer").all():
        node.click()
    page.locator("details.meta summary").click()
    assert page.evaluate("window.hacked") is None
    assert page.locator("#document img, #document script, #document b b").count() == 0
    assert page.locator("mark.entity .label").first.inner_text().startswith('"></mark><script>')


def test_light_and_dark(open_page: Callable[..., Any], page_file: Path) -> None:
    page = open_page(page_file, color_scheme="dark")
    color = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(color) == "rgb(23, 24, 27)"
    page.click("#theme")
    assert page.evaluate(color) == "rgb(247, 247, 245)"


def test_on_a_phone_nothing_is_wider_than_the_screen(
    open_page: Callable[..., Any], page_file: Path
) -> None:
    page = open_page(page_file, viewport={"width": 360, "height": 700}, has_touch=True)
    wide = "document.documentElement.scrollWidth"
    assert page.evaluate(wide) <= 360
    show(page, "astral")
    assert page.evaluate(wide) <= 360
    assert page.locator("#list").is_hidden()
    page.click(".back")
    assert page.locator("#list").is_visible()


def test_ten_thousand_documents(
    open_page: Callable[..., Any], out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = read_documents(out, limit=1)
    many = ({**one, "document_id": f"d{i}", "text": f"{one['text']} {i}"} for i in range(10_000))
    monkeypatch.setattr(page_writer, "read_documents", lambda run, limit: many)
    page = open_page(write_report(out, tmp_path / "many.html"))
    page.click("#tab-documents")
    page.wait_for_selector("h2")
    assert page.locator("#found").inner_text() == "10,000 documents"
    assert page.locator(".row").count() < 60
    page.evaluate("document.getElementById('list').scrollTop = 1e9")
    page.wait_for_selector("#row-9999")
    assert page.locator(".row").count() < 60
    page.fill("#search", "lovelace 9876")
    wait_for(page, "#found", "1 of 10,000 documents")
    assert ids(page) == ["d9876"]
