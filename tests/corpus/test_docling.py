"""Documents converted by docling: what it is asked, what is refused, what becomes of its parts."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from office_files import pdf

from nlp_pipeline.corpus import corpus_file, read_corpus
from nlp_pipeline.corpus.documents import conversion as conversion_module
from nlp_pipeline.corpus.documents.conversion import Converter
from nlp_pipeline.corpus.documents.conversion_settings import ConversionSettings
from nlp_pipeline.corpus.documents.docling_models import (
    MODELS,
    docling_models_folder,
    models_digest,
)
from nlp_pipeline.errors.documents import (
    ConverterUnusable,
    DoclingModelsMissing,
    InvalidConversionSetting,
    ReaderNotInstalled,
)
from nlp_pipeline.errors.records import BadRecord, Place


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with what the models are known by."""
    folder = tmp_path / "models"
    for path in MODELS.values():
        (folder / path).mkdir(parents=True)
        (folder / path / "x.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the library were there."""
    for module in (conversion_module, corpus_file):
        monkeypatch.setattr(module, "is_converter_installed", lambda *_: True)
    monkeypatch.setattr(conversion_module.metadata, "version", lambda _: "2.143.0")


def answering(tmp_path: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in place of the converter's, which answers a request by `body`."""
    script = tmp_path / "worker.py"
    script.write_text(
        "import json, os, sys\n"
        "for line in sys.stdin:\n"
        "    request = json.loads(line)\n"
        f"    print(json.dumps({body}), flush=True)\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(conversion_module, "WORKER", ["-S", str(script)])


@pytest.mark.parametrize("name", [None, "DOCLING_ARTIFACTS_PATH", "DOCLING_CACHE_DIR"])
def test_where_the_models_are(
    models: Path, name: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("DOCLING_ARTIFACTS_PATH", "DOCLING_CACHE_DIR"):
        monkeypatch.delenv(variable, raising=False)
    if name is not None:
        where = models if name == "DOCLING_ARTIFACTS_PATH" else models.parent
        monkeypatch.setenv(name, str(where))
    assert docling_models_folder(None if name else str(models)) == models


def test_models_that_changed_are_others(models: Path) -> None:
    before = models_digest(models)
    (models / MODELS["layout"] / "x.safetensors").write_bytes(b"others")
    assert models_digest(models) != before


def test_without_its_models_no_run_begins(
    write: Any, models: Path, installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said by the call itself, before the first document, and nothing is fetched."""
    write("in/a.txt", "One.")
    write("in/b.PDF", pdf([["Two."]]))
    (models / MODELS["layout"] / "x.safetensors").unlink()
    settings = ConversionSettings(converter="docling", docling_models=str(models))
    with pytest.raises(DoclingModelsMissing) as raised:
        read_corpus("in", converter=Converter(settings=settings))
    assert str(raised.value) == (
        f"--converter docling reads a PDF by models that are not in '{models}': layout. They are a "
        "download of some 0.5 GB, which nothing here begins by itself: type `docling-tools models "
        "download layout`, and name another folder with --docling-models. Leave out --converter to "
        "convert without models."
    )
    answering(tmp_path, "{'text': 'Three.', 'meta': {}, 'layout': []}", monkeypatch)
    write("c.md", "# Three")  # a document without pages needs none
    (record,) = read_corpus("c.md", converter=Converter(settings=settings))
    assert getattr(record, "text", None) == "Three."


def test_what_is_asked_of_it(
    write: Any, models: Path, installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = "[request['converter'], request['models'], os.environ['HF_HUB_OFFLINE']]"
    body = f"{{'text': json.dumps({request}), 'meta': {{}}, 'layout': []}}"
    answering(tmp_path, body, monkeypatch)
    settings = ConversionSettings(converter="docling", docling_models=str(models))
    converter = Converter(tmp_path / "texts", settings)
    file = Path(write("a.pdf", pdf([["One."]])))
    answer = converter.convert(file, Place("a.pdf", 1))
    assert json.loads(answer["text"]) == ["docling", str(models), "1"]
    (text,) = (tmp_path / "texts").iterdir()
    assert text.name.endswith(f"-pdf-{models_digest(models)}-docling-2.143.0-2.json")
    converter.close()


def test_a_library_that_cannot_be_loaded_ends_the_run(
    write: Any, models: Path, installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(tmp_path, "{'problem': 'converter', 'reason': 'no nms'}", monkeypatch)
    write("in/a.pdf", pdf([["One."]]))
    write("in/b.pdf", pdf([["Two."]]))
    settings = ConversionSettings(converter="docling", docling_models=str(models))
    with pytest.raises(
        ConverterUnusable, match=r"^--converter docling cannot be used: no nms\. Install what it n"
    ):
        list(read_corpus("in", converter=Converter(settings=settings)))


def test_without_the_package(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        conversion_module, "is_converter_installed", lambda *names: "docling" not in names
    )
    write("a.md", "# One")
    message = r"^Reading a\.md needs a package that is not installed: type `pip install 'docling-s"
    with pytest.raises(ReaderNotInstalled, match=message):
        read_corpus("a.md", converter=Converter(settings=ConversionSettings(converter="docling")))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"converter": "pandoc"}, "--converter is 'pandoc' and must be kreuzberg or docling."),
        (
            {"converter": "docling", "ocr": True},
            "--converter is 'docling' and must be kreuzberg where text is to be recognized "
            "(--ocr).",
        ),
    ],
)
def test_settings_that_do_not_go(settings: Any, message: str) -> None:
    with pytest.raises(InvalidConversionSetting) as raised:
        ConversionSettings(**settings)
    assert str(raised.value) == message


def converted(data: bytes, suffix: str, tmp_path: Path) -> dict[str, Any]:
    """A document as docling has it, in this process."""
    pytest.importorskip("docling", reason="the extra docling is missing")
    from nlp_pipeline.corpus.documents.docling_document import converted_by_docling

    file = tmp_path / f"a{suffix}"
    file.write_bytes(data)
    return converted_by_docling(str(file), b"", conversion_module.MIME_TYPES[suffix])


def parts(answer: dict[str, Any], *facts: str) -> list[Any]:
    """The pieces of the text that the layout names, with their facts."""
    return [
        (row["kind"], answer["text"][row["start_char"] : row["end_char"]], *(row[f] for f in facts))
        for row in answer["layout"]
    ]


def test_word(tmp_path: Path) -> None:
    docx = pytest.importorskip("docx", reason="the extra docling is missing")
    document = docx.Document()
    document.core_properties.title, document.core_properties.author = "Report", "Ada"
    document.add_heading("The bridge", 1)
    document.add_paragraph("Ada cut the ").add_run("red").bold = True
    document.paragraphs[-1].add_run(" ribbon.")
    document.add_heading("Costs", 2)
    document.add_paragraph("3 million", style="List Bullet")
    table = document.add_table(2, 2)
    for cell, text in zip(
        [cell for row in table.rows for cell in row.cells],
        ("City", "People", "Oslo | N", "700,000"),
        strict=True,
    ):
        cell.text = text
    out = io.BytesIO()
    document.save(out)
    answer = converted(out.getvalue(), ".docx", tmp_path)
    assert parts(answer, "section", "level") == [
        ("heading", "The bridge", "The bridge", 2),
        ("paragraph", "Ada cut the red ribbon.", "The bridge", None),
        ("heading", "Costs", "The bridge / Costs", 3),
        ("list_item", "- 3 million", "The bridge / Costs", None),
        (
            "table",
            "| City | People |\n| --- | --- |\n| Oslo \\| N | 700,000 |",
            "The bridge / Costs",
            None,
        ),
    ]
    assert answer["meta"] == {
        "title": "Report",
        "authors": ["Ada"],
        "headings": ["The bridge", "Costs"],
    }


def test_powerpoint(tmp_path: Path) -> None:
    pptx = pytest.importorskip("pptx", reason="the extra docling is missing")
    slides = pptx.Presentation()
    for title, text in (("Bridge", "Ada cut it."), ("Costs", "3 million.")):
        slide = slides.slides.add_slide(slides.slide_layouts[1])
        slide.shapes.title.text, slide.placeholders[1].text = title, text
    slide.notes_slide.notes_text_frame.text = "A note of the speaker"
    out = io.BytesIO()
    slides.save(out)
    answer = converted(out.getvalue(), ".pptx", tmp_path)
    assert parts(answer, "page") == [
        ("page", "Bridge\n\n- Ada cut it.", 1),
        ("page", "Costs\n\n- 3 million.", 2),
        ("heading", "Bridge", 1),
        ("list_item", "- Ada cut it.", 1),
        ("heading", "Costs", 2),
        ("list_item", "- 3 million.", 2),
    ]
    left, bottom, right, top = answer["layout"][2]["bbox"]
    assert 0 < left < right < 720
    assert 270 < bottom < top < 540
    assert answer["meta"]["pages"] == 2


def test_html_and_markdown(tmp_path: Path) -> None:
    page = b"""<html><head><title>T</title><script>var s = 1;</script></head><body><h1>Bridge</h1>
        <p>Ada <b>cut</b> the <i>red</i> ribbon.</p><p hidden>no</p><p style="display:none">no</p>
        <ul><li>one</li><li>two<ol><li>deep</li></ol></li></ul><table><tr><th>a</th><th>b</th></tr>
        <tr><td>1</td><td><b>2</b><ul><li>q</li></ul></td></tr></table></body></html>"""
    answer = converted(page, ".html", tmp_path)
    assert parts(answer) == [
        ("heading", "Bridge"),
        ("paragraph", "Ada cut the red ribbon."),
        ("list_item", "- one"),
        ("list_item", "- two"),
        ("list_item", "- deep"),
        ("table", "| a | b |\n| --- | --- |\n| 1 | 2 q |"),
    ]
    assert answer["meta"] == {"title": "T", "headings": ["Bridge"]}
    answer = converted(b"# Bridge\n\nAda *cut* it.\n\n```\nx = 1\n```\n", ".md", tmp_path)
    assert parts(answer) == [
        ("heading", "Bridge"),
        ("paragraph", "Ada cut it."),
        ("code", "x = 1"),
    ]


@pytest.mark.slow
def test_pdf(tmp_path: Path) -> None:
    """By models that see nothing: each line is a paragraph of its own, in its own box."""
    pytest.importorskip("docling_ibm_models", reason="the extra docling is missing")
    from random_docling_models import write_models

    models = tmp_path / "models"
    write_models(models)
    settings = ConversionSettings(converter="docling", docling_models=str(models))
    converter = Converter(tmp_path / "texts", settings)
    pages = [["The bridge opened", "in 2021."], ["Karl left."]]
    files = {
        "a.PDF": pdf(pages),
        "locked.pdf": pdf(pages, password=True),
        "broken.pdf": pdf(pages)[:200],
        "scan.pdf": pdf([[], []]),
    }
    answers: dict[str, Any] = {}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        try:
            answers[name] = converter.convert(tmp_path / name, Place(name, 1))
        except BadRecord as error:
            answers[name] = error.kind
    converter.close()
    answer = answers.pop("a.PDF")
    assert answers == {
        "locked.pdf": "document_locked",
        "broken.pdf": "document_broken",
        "scan.pdf": "document_scanned",
    }
    assert answer["meta"] == {"title": "The bridge", "authors": ["Ada"], "pages": 2}
    assert parts(answer, "page") == [
        ("page", "The bridge opened\n\nin 2021.", 1),
        ("page", "Karl left.", 2),
        ("paragraph", "The bridge opened", 1),
        ("paragraph", "in 2021.", 1),
        ("paragraph", "Karl left.", 2),
    ]
    left, bottom, right, top = answer["layout"][2]["bbox"]
    assert 70 < left < 75 < right < 300 < 700 < bottom < top < 735
