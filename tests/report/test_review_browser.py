"""The review of the page, in a real browser, and its way back into the run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from parrot_pipeline import TEMPLATE

from nlp_pipeline import evaluate_run, read_run, review_run, run
from nlp_pipeline.report import write_report
from nlp_pipeline.reviews.review import reviews_of
from nlp_pipeline.run_folder.review_table import read_reviews

pytestmark = pytest.mark.browser

TEXT = "Greetings 😀 from\nTurin. Ada wrote to 王小明 😀 Babbage"


@pytest.fixture
def judged(tmp_path: Path, quick: Callable[..., str], corpus: Callable[..., str]) -> Path:
    """A run of three documents, whose echo answers with the last two words of each."""
    template = tmp_path / "last.jinja"
    template.write_text(TEMPLATE, encoding="utf-8")
    config = Path(quick())
    setting = f'factory = "llama_qa"\ntemplate = "{template}"\nmax_new_tokens = 2\n'
    text = config.read_text("utf-8").replace('factory = "llama_qa"\n', setting)
    config.write_text(text, encoding="utf-8")
    records = [{"id": "a", "text": TEXT}, {"id": "b", "text": "Grace left for Oslo"}]
    source = corpus(*records, {"id": "c", "text": "Nobody came in the end"})
    run(source, tmp_path / "out", pipeline=str(config))
    return tmp_path / "out"


@pytest.fixture
def review_page(judged: Path, open_page: Callable[..., Any], tmp_path: Path) -> Any:
    page = open_page(write_report(judged, tmp_path / "page.html"))
    page.click("#tab-review")
    progress(page, "0 of 3 reviewed")
    return page


def progress(page: Any, text: str) -> None:
    """Waits until so many answers are reviewed."""
    from playwright.sync_api import expect

    expect(page.locator("#progress")).to_have_text(text)


def shown(page: Any, document_id: str) -> None:
    """Waits until an answer of a document is there."""
    from playwright.sync_api import expect

    expect(page.locator("#view-review h2")).to_have_text(document_id)


def drag(page: Any, start: str, end: str) -> None:
    """Selects with the mouse from before one text to behind another."""
    ends = page.evaluate(
        """([start, end]) => {
          const whole = document.querySelector("#view-review .text");
          const walker = document.createTreeWalker(whole, NodeFilter.SHOW_TEXT);
          const find = (text, behind) => {
            walker.currentNode = whole;
            while (walker.nextNode()) {
              const at = walker.currentNode.data.indexOf(text);
              if (at < 0) continue;
              const range = document.createRange();
              range.setStart(walker.currentNode, at);
              range.setEnd(walker.currentNode, at + text.length);
              const box = range.getBoundingClientRect();
              return [behind ? box.right - 0.5 : box.left + 0.5, box.top + box.height / 2];
            }
          };
          return [find(start, false), find(end, true)];
        }""",
        [start, end],
    )
    page.mouse.move(*ends[0])
    page.mouse.down()
    page.mouse.move(*ends[1], steps=8)
    page.mouse.up()


def test_a_review_goes_from_the_page_into_the_run(
    review_page: Any, judged: Path, tmp_path: Path
) -> None:
    page = review_page
    page.fill("#reviewer", "Ada")
    shown(page, "a")
    drag(page, "😀 from", "Turin")  # over an emoji and a line break
    page.click("#mark")
    progress(page, "1 of 3 reviewed")
    shown(page, "b")
    page.fill("#note", "well said")
    page.click("#accept")
    progress(page, "2 of 3 reviewed")
    page.reload()
    page.click("#tab-review")
    progress(page, "2 of 3 reviewed")
    shown(page, "c")
    assert page.locator("#reviewer").input_value() == "Ada"
    page.keyboard.press("0")
    progress(page, "3 of 3 reviewed")
    with page.expect_download() as download:
        page.click("#download")
    file = tmp_path / download.value.suggested_filename
    assert file.name == "review.jsonl"
    download.value.save_as(file)
    result = review_run(judged, file)
    assert (result.n_taken, result.problems) == (3, ())
    rows = {row.document_id: row for row in reviews_of(read_reviews(judged, "parquet"))}
    assert rows["a"].text == "😀 from\nTurin"
    assert TEXT[rows["a"].start_char : rows["a"].end_char] == "😀 from\nTurin"
    assert (rows["b"].verdict, rows["b"].note) == ("accept", "well said")
    assert (rows["c"].verdict, rows["c"].text) == ("correct", None)
    assert {row.reviewer for row in rows.values()} == {"Ada"}
    overall = evaluate_run(judged, judged)["answers"]["overall"]
    assert (overall["n"], overall["exact_match"]["value"]) == (3, pytest.approx(1 / 3))


def test_the_review_by_keys_alone(review_page: Any, judged: Path, tmp_path: Path) -> None:
    page = review_page
    shown(page, "a")
    # The answer begins with the emoji; two words on, and one more: from there to the end.
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowRight")
    assert page.evaluate("getSelection().toString()") == "王小明 😀"
    page.keyboard.press("m")
    progress(page, "1 of 3 reviewed")
    assert page.locator("#verdict").inner_text() == "not reviewed yet"
    page.keyboard.press("k")
    shown(page, "a")
    assert page.locator("#verdict b").inner_text() == "王小明 😀"
    hits = "[...document.querySelectorAll('#view-review .hit')].map(n => n.textContent).join('')"
    assert page.evaluate(hits) == "王小明 😀"
    page.keyboard.press("u")
    progress(page, "0 of 3 reviewed")
    page.keyboard.press("r")
    progress(page, "1 of 3 reviewed")
    shown(page, "b")
    page.keyboard.press("a")
    shown(page, "c")
    lines = page.evaluate("app.review.verdicts.lines()").splitlines()
    verdicts = {line["document_id"]: line["verdict"] for line in map(json.loads, lines)}
    assert verdicts == {"a": "reject", "b": "accept"}


def test_the_least_sure_come_first_and_the_failed_last(
    open_page: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, judged: Path
) -> None:
    from nlp_pipeline.report import page_writer
    from nlp_pipeline.report.documents import read_documents

    documents = list(read_documents(judged))
    figures = {"a": ("ok", 0.9), "b": ("error", None), "c": ("ok", 0.2)}
    for document in documents:
        (answer,) = document["answers"]
        answer["status"], answer["confidence"] = figures[document["document_id"]]
    monkeypatch.setattr(page_writer, "read_documents", lambda run, limit: iter(documents))
    page = open_page(write_report(judged, tmp_path / "sorted.html"))
    page.click("#tab-review")
    for document_id in ("c", "a", "b"):
        shown(page, document_id)
        page.keyboard.press("j")
    assert page.locator("#accept").is_disabled(), "there is no answer to accept"
    page.keyboard.press("a")
    progress(page, "0 of 3 reviewed")


def test_labels_values_and_entities_are_judged_too(
    two_runs: tuple[Path, Path], open_page: Callable[..., Any], tmp_path: Path
) -> None:
    run_folder = tmp_path / "a"
    shutil.copytree(two_runs[0], run_folder)
    page = open_page(write_report(run_folder, tmp_path / "page.html", against=two_runs[1]))
    page.click("#tab-review")
    page.locator("#kind option").first.wait_for(state="attached")
    names = page.locator("#kind option").all_inner_texts()
    assert names == ["Answers", "Labels", "Values", "Entities"]
    page.select_option("#kind", "categories")
    progress(page, "0 of 2 reviewed")
    shown(page, "grace")  # the other run has another label
    assert page.locator("#other").inner_text() == "b: travel"
    page.keyboard.press("b")
    shown(page, "ada")
    page.get_by_role("button", name="war").click()
    progress(page, "2 of 2 reviewed")
    page.select_option("#kind", "extraction_fields")
    shown(page, "grace")
    page.keyboard.press("a")
    shown(page, "ada")  # its value stands nowhere in the text
    page.keyboard.press("m")  # nothing is selected yet
    drag(page, "😀 from", "Turin")
    page.click("#mark")
    progress(page, "2 of 2 reviewed")
    page.select_option("#kind", "entities")
    progress(page, "0 of 4 reviewed")
    shown(page, "grace")
    assert page.locator("#view-review .said").inner_text() == "Oslo"
    assert page.locator("#nothing").count() == 0
    page.keyboard.press("0")
    page.keyboard.press("1")
    progress(page, "1 of 4 reviewed")
    page.keyboard.press("r")
    page.reload()
    page.click("#tab-review")
    page.select_option("#kind", "entities")
    progress(page, "2 of 4 reviewed")
    file = tmp_path / "review.jsonl"
    file.write_text(page.evaluate("app.review.verdicts.lines()"), encoding="utf-8")
    result = review_run(run_folder, file)
    assert (result.n_taken, result.problems) == (6, ())
    reviews = reviews_of(read_reviews(run_folder, "parquet"))
    rows = {(row.document_id, row.target): row for row in reviews}
    assert (rows["grace", "categories"].label, rows["grace", "categories"].text) == (
        *("letter", "travel"),
    )
    assert rows["ada", "categories"].text == "war"
    assert rows["grace", "extraction_fields"].verdict == "accept"
    value = rows["ada", "extraction_fields"]
    assert (value.answer, value.text, value.field) == ("Nobody", "😀 from\nTurin", "/who")
    oslo = next(r for r in reviews if r.target == "entities" and r.document_id == "grace")
    assert (oslo.verdict, oslo.text, oslo.label) == ("correct", "Oslo", "PERSON")
    assert rows["ada", "entities"].verdict == "reject"


def test_a_file_that_is_chosen_gets_every_verdict(review_page: Any) -> None:
    page = review_page
    # A browser shows its dialog to people alone: in its place a file in memory.
    page.evaluate(
        """() => {
          window.showSaveFilePicker = async ({ suggestedName }) => {
            let text = "";
            const stream = {
              write: async (piece) => (text += piece),
              close: async () => (window.file = [suggestedName, text]),
            };
            return { createWritable: async () => ((text = ""), stream) };
          };
        }"""
    )
    page.keyboard.press("a")
    progress(page, "1 of 3 reviewed")
    page.click("#keep")
    page.wait_for_function("window.file?.[1].split('\\n').length === 2")
    page.keyboard.press("r")
    page.wait_for_function("window.file[1].split('\\n').length === 3")
    name, text = page.evaluate("window.file")
    assert name == "review.jsonl"
    assert [json.loads(line)["verdict"] for line in text.splitlines()] == ["accept", "reject"]
    page.evaluate("() => { window.showSaveFilePicker = () => { throw new Error('no room') } }")
    page.click("#keep")
    page.wait_for_function("document.getElementById('notice').textContent.includes('no room')")


def test_reports_of_one_run_share_their_reviews(
    review_page: Any, judged: Path, tmp_path: Path
) -> None:
    review_page.keyboard.press("a")
    progress(review_page, "1 of 3 reviewed")
    again = write_report(judged, tmp_path / "again.html", title="Another title")
    review_page.goto(again.as_uri())
    review_page.click("#tab-review")
    progress(review_page, "1 of 3 reviewed")


def test_what_a_document_holds_is_no_markup_in_the_review_either(
    open_page: Callable[..., Any], out: Path, tmp_path: Path
) -> None:
    page = open_page(write_report(out, tmp_path / "hostile.html"))
    page.click("#tab-review")
    hostile = read_run(out, "documents")["documents"].document_id[2]
    page.locator("#view-review h2").wait_for()
    page.evaluate("app.review.next(app.review.items.findIndex((item) => item.place === 2))")
    shown(page, hostile)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("m")
    page.keyboard.press("k")
    assert page.evaluate("window.hacked") is None
    assert page.locator("#view-review img, #view-review script").count() == 0
