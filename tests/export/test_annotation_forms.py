"""A run in the forms of other programs, each read by a reader that is not ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spacy
from parrot_pipeline import parrot_pipeline
from spacy.tokens import Doc, Span
from spacy.training import Corpus

from nlp_pipeline import read_run, review_run, run
from nlp_pipeline.errors.run_folder import TableNotFound
from nlp_pipeline.export.job import export_run

ASTRAL = "Greetings 😀 from\nTurin. Ada wrote to Babbage"
NAMES = {"Ada": "PERSON", "Turin": "GPE"}


def names_and_labels(doc: Doc) -> Doc:
    """Names and two labels, without a model."""
    doc.ents = [Span(doc, t.i, t.i + 1, NAMES[t.text]) for t in doc if t.text in NAMES]
    doc.cats = {"letter": 0.8, "travel": 0.2}
    return doc


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of twelve documents, two of one text, and a reject, with a review of one answer."""
    folder = tmp_path_factory.mktemp("annotated")
    pipeline = parrot_pipeline(folder, names_and_labels)
    records: list[dict[str, Any]] = [{"id": "astral", "text": ASTRAL}, {"id": "empty"}]
    records += [{"id": f"d{n}", "text": f"The {n}. Ada went home"} for n in range(10)]
    records.append({"id": "twin", "text": ASTRAL})
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "corpus.jsonl").write_text(lines, "utf-8")
    run(folder / "corpus.jsonl", folder / "out", pipeline=pipeline, part_size=5)
    reviews = [
        {"document_id": "d0", "question_id": "who", "verdict": "correct"},
        {"document_id": "d1", "question_id": "who", "verdict": "correct", "text": "Ada"},
        {
            **{"document_id": "astral", "target": "entities", "start_char": 10, "end_char": 22},
            **{"label": "PLACE", "verdict": "correct"},
        },
    ]
    (folder / "review.jsonl").write_text("".join(json.dumps(r) + "\n" for r in reviews), "utf-8")
    assert review_run(folder / "out", folder / "review.jsonl").n_taken == 3
    return folder / "out"


def docs_of(folder: Path) -> dict[str, Doc]:
    """The Docs of a folder, as spaCy's training reads them."""
    nlp = spacy.blank("en")
    examples = Corpus(folder)(nlp)
    return {example.reference.user_data["document_id"]: example.reference for example in examples}


def test_spacy_trains_on_the_docs(out: Path, tmp_path: Path) -> None:
    files = export_run(out, tmp_path / "docs", "spacy")
    assert {file.parent.name for file in files} == {"train", "dev"}
    train, dev = docs_of(tmp_path / "docs" / "train"), docs_of(tmp_path / "docs" / "dev")
    assert len(train) + len(dev) == 12
    assert len({doc.text for doc in dev.values()}) == 2, "a fifth of eleven texts"
    assert not {doc.text for doc in train.values()} & {doc.text for doc in dev.values()}
    docs = {**train, **dev}
    doc = docs["astral"]
    assert doc.text == ASTRAL
    assert [(e.text, e.label_) for e in doc.ents] == [("Turin", "GPE"), ("Ada", "PERSON")]
    assert [(s.text, s.label_, s.id_) for s in doc.spans["answers"]] == [
        ("to Babbage", "ANSWER", "who")
    ]
    assert doc.cats == {"letter": 0.8, "travel": 0.2}
    assert [sent.text for sent in doc.sents] == [
        "Greetings 😀 from\nTurin.",
        "Ada wrote to Babbage",
    ]


def test_spacy_takes_what_people_have_corrected(out: Path, tmp_path: Path) -> None:
    export_run(out, tmp_path / "docs", "spacy", reviewed=True)
    docs = docs_of(tmp_path / "docs" / "train") | docs_of(tmp_path / "docs" / "dev")
    assert [(e.text, e.label_) for e in docs["astral"].ents] == [
        ("😀 from\nTurin", "PLACE"),
        ("Ada", "PERSON"),
    ]
    assert [e.text for e in docs["twin"].ents] == ["Turin", "Ada"]
    assert "answers" not in docs["d0"].spans
    assert [s.text for s in docs["d1"].spans["answers"]] == ["Ada"]


def test_a_shorter_export_leaves_no_docs_of_a_longer_one(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nlp_pipeline.export import spacy_docs

    monkeypatch.setattr(spacy_docs, "DOCS_PER_FILE", 2)
    export_run(out, tmp_path / "docs", "spacy")
    assert len(list((tmp_path / "docs" / "train").iterdir())) > 1
    monkeypatch.undo()
    export_run(out, tmp_path / "docs", "spacy", ["entities"])
    assert [f.name for f in (tmp_path / "docs" / "train").iterdir()] == ["docs-00000.spacy"]
    docs = docs_of(tmp_path / "docs" / "train")
    assert all(not doc.spans and not doc.cats for doc in docs.values())


@pytest.mark.parametrize(("n", "uses"), [(0, (0, 0)), (1, (1, 0)), (2, (1, 1))])
def test_few_documents_are_shared_out(
    tmp_path: Path,
    quick: Callable[..., str],
    corpus: Callable[..., str],
    n: int,
    uses: tuple[int, int],
) -> None:
    source = corpus({"id": "none"}, *[f"Text number {i}." for i in range(n)])
    run(source, tmp_path / "out", pipeline=quick())
    export_run(tmp_path / "out", tmp_path / "docs", "spacy")
    found = tuple(len(docs_of(tmp_path / "docs" / use)) for use in ("train", "dev"))
    assert found == uses


def test_squad_has_pieces_of_the_text(
    out: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (file,) = export_run(out, tmp_path / "squad.json", "squad")
    data = json.loads(file.read_text("utf-8"))
    assert data["version"] == "v2.0"
    paragraphs = {a["title"]: p for a in data["data"] for p in a["paragraphs"]}
    assert len(paragraphs) == 12
    ids = set()
    for paragraph in paragraphs.values():
        (question,) = paragraph["qas"]  # the other one failed
        ids.add(question["id"])
        (answer,) = question["answers"]
        start = answer["answer_start"]
        assert paragraph["context"][start:].startswith(answer["text"]), "as its own scorer looks"
    assert len(ids) == 12
    assert paragraphs["astral"]["qas"][0]["answers"] == [{"text": "to Babbage", "answer_start": 34}]
    assert "12 questions are left out: they failed, or their answer" in caplog.text
    (file,) = export_run(out, tmp_path / "squad.json", "squad", reviewed=True)
    questions = {
        a["title"]: a["paragraphs"][0]["qas"][0] for a in json.loads(file.read_text())["data"]
    }
    assert (questions["d0"]["answers"], questions["d0"]["is_impossible"]) == ([], True)
    assert questions["d1"]["answers"][0]["text"] == "Ada"


def test_squad_is_read_by_transformers(out: Path, tmp_path: Path) -> None:
    squad = pytest.importorskip("transformers.data.processors.squad")
    (file,) = export_run(out, tmp_path / "squad.json", "squad")
    examples = squad.SquadV2Processor().get_dev_examples(str(tmp_path), filename=file.name)
    answers = {example.title: example.answers for example in examples}
    assert answers["astral"] == [{"text": "to Babbage", "answer_start": 34}]


def test_squad_can_be_run_and_evaluated_again(
    out: Path, tmp_path: Path, quick: Callable[..., str]
) -> None:
    export_run(out, tmp_path / "squad.json", "squad")
    run(str(tmp_path / "squad.json"), tmp_path / "again", pipeline=quick())
    texts = read_run(tmp_path / "again", "documents")["documents"]["text"]
    assert ASTRAL in set(texts)


def test_a_form_takes_only_its_own_tables(out: Path, tmp_path: Path) -> None:
    with pytest.raises(TableNotFound, match="the tables are: entities, spans, categories"):
        export_run(out, tmp_path / "docs", "spacy", ["answers"])
