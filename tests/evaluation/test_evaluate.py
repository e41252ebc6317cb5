from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline.corpus import Record, read_corpus
from nlp_pipeline.errors.evaluation import NoReferences, NothingToCompare
from nlp_pipeline.evaluation import evaluate_run
from nlp_pipeline.evaluation.annotation import foreign_relations
from nlp_pipeline.runner.run import run

ROOT = Path(__file__).parents[2]
TEMPLATE = "{% block user %}{{ question }} {{ text }}{% endblock %}"
RECORDS: list[dict[str, Any]] = [
    {
        "id": "a",
        "text": "She left for Oslo",
        "questions": [
            {"id": "where", "text": "Where did she go?", "answers": ["Bergen", "to Oslo"]},
            {"id": "why", "text": "Why did she go?", "answers": []},
            {"id": "open", "text": "Was it good?"},
        ],
    },
    {"id": "b", "text": "He was not in the document", "meta": {"answers": {"who": None}}},
]


@pytest.fixture
def parrot(tmp_path: Path, quick: Callable[..., str]) -> Callable[..., str]:
    """The quick pipeline, whose echo answers with so many last words of the document."""

    def write(words: int = 4) -> str:
        template = tmp_path / "parrot.jinja"
        template.write_text(TEMPLATE)
        path = Path(quick())
        setting = f'questions = []\ntemplate = "{template}"\nmax_new_tokens = {words}\n'
        text = path.read_text().replace(
            'questions = [{"id": "who", "text": "Who is named?"}]\n', ""
        )
        path.write_text(text.replace('factory = "llama_qa"\n', f'factory = "llama_qa"\n{setting}'))
        return str(path)

    return write


def test_answers_against_references(
    tmp_path: Path, corpus: Callable[..., str], parrot: Callable[..., str]
) -> None:
    records = [dict(RECORDS[0]), {**RECORDS[1], "questions": [{"id": "who", "text": "Who?"}]}]
    path = corpus(*records)
    run(path, tmp_path / "out", pipeline=parrot())
    found = evaluate_run(tmp_path / "out", path)
    overall = found["answers"]["overall"]
    assert overall["n"] == 3, "the question without a reference is not counted"
    assert overall["exact_match"]["value"] == pytest.approx(1 / 3)
    assert overall["f1"]["value"] == pytest.approx((2 / 6 + 0 + 1) / 3)
    assert overall["exact_match_of_answerable"]["value"] == 0
    assert overall["no_answer_accuracy"]["value"] == 0.5
    assert overall["no_answer_accuracy"]["n"] == 2
    assert list(found["answers"]["by_type"]) == ["where", "who", "why"]
    assert found["summaries"] is found["labels"] is found["annotation"] is None
    json.dumps(found)


def test_a_failed_answer_is_no_right_one(
    tmp_path: Path, corpus: Callable[..., str], parrot: Callable[..., str]
) -> None:
    """An error where nothing is to be found must not count as "no answer"."""
    question = {"id": "q", "text": "UNSPEAKABLE?", "answers": []}
    path = corpus({"id": "a", "text": "x", "questions": [question]})
    run(path, tmp_path / "out", pipeline=parrot())
    overall = evaluate_run(tmp_path / "out", path)["answers"]["overall"]
    assert overall["failed"] == 1
    assert overall["exact_match"]["value"] == overall["no_answer_accuracy"]["value"] == 0


def test_without_references(
    tmp_path: Path, corpus: Callable[..., str], quick: Callable[..., str]
) -> None:
    path = corpus("Anna left.")
    run(path, tmp_path / "out", pipeline=quick())
    with pytest.raises(NoReferences, match=r"no references to evaluate by"):
        evaluate_run(tmp_path / "out", path)
    other = corpus(RECORDS[0], name="other.jsonl")
    with pytest.raises(NothingToCompare, match="Evaluate it with the corpus that it was run on"):
        evaluate_run(tmp_path / "out", other)


def test_no_reference_reaches_the_model(corpus: Callable[..., str]) -> None:
    from nlp_pipeline.pipeline import PipelineSpec, load_pipeline
    from nlp_pipeline.runner.annotate import annotate

    nlp = load_pipeline(PipelineSpec("en_qa", echo=True))
    items = read_corpus(corpus(RECORDS[0]))
    (found,) = annotate(nlp, items, pipes=[], batch_size=1)
    assert [set(question) for question in found.doc._.questions] == [{"id", "text"}] * 3


SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "Harbours",
            "paragraphs": [
                {
                    "context": "She left for Oslo",
                    "qas": [
                        {
                            "id": "56",
                            "question": "Where did she go?",
                            "answers": [{"text": "Oslo", "answer_start": 13}] * 2,
                        },
                        {
                            "id": "57",
                            "question": "Why?",
                            "is_impossible": True,
                            "plausible_answers": [{"text": "Oslo", "answer_start": 13}],
                            "answers": [],
                        },
                        {"id": "58", "question": "Why?", "answers": [{"text": "left"}]},
                    ],
                },
                {"qas": []},
            ],
        }
    ],
}


def test_squad_as_a_corpus(tmp_path: Path) -> None:
    file = tmp_path / "dev.json"
    file.write_text(json.dumps(SQUAD))
    first, second = read_corpus(file)
    assert isinstance(first, Record)
    assert (first.id, first.text, dict(first.meta)) == (
        "dev:1",
        "She left for Oslo",
        {"title": "Harbours"},
    )
    assert [(q.id, q.text, q.answers) for q in first.questions] == [
        ("56", "Where did she go?", ("Oslo",)),
        ("57", "Why?", ()),
        ("58", "Why?", ("left",)),
    ]
    assert not isinstance(second, Record)
    assert second.message.startswith(f"{file}:2 is not in SQuAD's format: the paragraph has no")


@pytest.mark.parametrize(
    ("content", "kind"),
    [("[1]", "not_an_object"), ("{", "bad_squad"), ('{"data": 3}', "bad_squad")],
)
def test_json_that_is_no_squad(tmp_path: Path, content: str, kind: str) -> None:
    file = tmp_path / "dev.json"
    file.write_text(content)
    (reject,) = read_corpus(file)
    assert not isinstance(reject, Record)
    assert reject.kind == kind


CONLLU = """\
# newdoc id = moulin
# sent_id = 1
1\tIl\til\tPRON\t_\t_\t2\tnsubj\t_\t_
2\tparle\tparler\tVERB\t_\t_\t0\troot\t_\t_
3-4\tdu\t_\t_\t_\t_\t_\t_\t_\t_
3\tde\tde\tADP\t_\t_\t5\tcase\t_\t_
4\tle\tle\tDET\t_\t_\t5\tdet\t_\t_
5\tmoulin\tmoulin\tNOUN\t_\t_\t2\tobl\t_\tSpaceAfter=No
6\t.\t.\tPUNCT\t_\t_\t2\tpunct\t_\t_

# newdoc
1\tOui\toui\tINTJ\t_\t_\t0\troot\t_\tSpaceAfter=No
2\t.\t.\tPUNCT\t_\t_\t1\tpunct\t_\t_

"""


def test_conllu_as_a_corpus(tmp_path: Path) -> None:
    file = tmp_path / "gold.conllu"
    file.write_text(CONLLU + "# newdoc\n1\tzu\tkurz\n\n")
    first, second, third = read_corpus(file)
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert (first.id, first.text) == ("moulin", "Il parle du moulin.")
    assert (second.id, second.text) == ("gold:11", "Oui.")
    assert not isinstance(third, Record)
    assert third.message == f"{file}:16 has 3 columns; a line of CoNLL-U has ten, parted by tabs."


def test_annotation_against_gold(tmp_path: Path) -> None:
    from nlp_pipeline.corpus import count_documents

    file = tmp_path / "gold.conllu"
    file.write_text(CONLLU)
    assert count_documents(file) == 2
    run(file, tmp_path / "out", pipeline="fr_qa", echo=True)
    scores = evaluate_run(tmp_path / "out", file)["annotation"]
    assert scores["token_acc"] == scores["sents_f"] == 1
    assert 0.5 < scores["pos_acc"] <= 1
    assert 0.3 < scores["dep_las"] <= 1
    assert 0.5 < scores["lemma_acc"] <= 1
    changed = CONLLU.replace("\tNOUN\t", "\tVERB\t").replace("\tPRON\t", "\tVERB\t")
    file.write_text(changed)
    second = evaluate_run(tmp_path / "out", file)
    assert second["annotation"]["pos_acc"] < scores["pos_acc"]
    assert second["warnings"] == [], "both sides are in Universal Dependencies"
    file.write_text(CONLLU.replace("\tparler\t", "\tmarcher\t"))
    third = evaluate_run(tmp_path / "out", file)["annotation"]
    assert third["lemma_acc"] < scores["lemma_acc"]


@pytest.mark.parametrize(
    ("gold", "predicted", "foreign"),
    [
        ({"root", "nsubj", "obl:mod"}, ["ROOT", "nsubj", "iobj", "punct"], []),
        ({"root", "nsubj"}, ["ROOT", "pobj", "pobj", "prep", "nsubj"], ["pobj", "prep"]),
        ({"root", "nsubj"}, ["root"] * 19 + ["odd"], []),  # a slip is no scheme
        ({"ROOT", "pobj"}, ["ROOT", "pobj", "obl", "obl"], ["obl"]),
        ({""}, ["nsubj"], []),
        ({"root"}, ["", ""], []),
    ],
)
def test_relations_of_two_schemes(gold: set[str], predicted: list[str], foreign: list[str]) -> None:
    assert foreign_relations(gold, predicted) == foreign


def test_two_label_schemes_are_told(tmp_path: Path, cli: Callable[..., Any]) -> None:
    """The English pipeline's labels are not those of Universal Dependencies."""
    file = tmp_path / "gold.conllu"
    words = "1\tShe\tshe\tPRON\t_\t_\t2\tnsubj\t_\t_\n2\tlives\tlive\tVERB\t_\t_\t0\troot\t_\t_\n"
    words += "3\tin\tin\tADP\t_\t_\t4\tcase\t_\t_\n4\tOslo\tOslo\tPROPN\t_\t_\t2\tobl\t_\t_\n\n"
    file.write_text(words)
    done = cli("evaluate", file, "-p", "en_qa", "--echo", "--out", tmp_path / "out", "--quiet")
    assert done.code == 0, done.err
    assert "Warning: The pipeline's dependency labels (" in done.err
    assert "are not of the gold annotation's scheme: dep_las counts them as wrong" in done.err
    assert "lemma_acc" in done.out


SUMMARIES_ALONE = {"id": "a", "text": "Anna left.", "meta": {"summary": "She left."}}


@pytest.mark.parametrize(
    ("record", "options", "words"),
    [
        (SUMMARIES_ALONE, ["--no-rouge"], "has references for summaries alone, and --no-rouge"),
        ({"id": "a", "text": "Anna left."}, [], "holds no references to evaluate by"),
    ],
)
def test_what_cannot_be_measured_is_not_run(
    tmp_path: Path,
    corpus: Callable[..., str],
    cli: Callable[..., Any],
    record: dict[str, Any],
    options: list[str],
    words: str,
) -> None:
    done = cli("evaluate", corpus(record), "--echo", "--out", tmp_path / "out", *options)
    assert done.code == 1
    assert words in done.err
    assert not (tmp_path / "out").exists()


def test_labels(tmp_path: Path) -> None:
    import pandas as pd

    from nlp_pipeline.evaluation.bootstrap import Bootstrap
    from nlp_pipeline.evaluation.evaluate import _labels
    from nlp_pipeline.evaluation.references import read_references

    meta: tuple[dict[str, Any], ...] = (
        {"label": "news"},
        {"labels": ["note", "news"]},
        {"label": "news"},
    )
    references = read_references(
        Record(n, name, "x", value) for n, (name, value) in enumerate(zip("abc", meta, strict=True))
    )
    rows = [("a", "news", 0.9), ("a", "note", 0.1), ("b", "note", 0.6), ("b", "none", 0.7)]
    tables = {
        "documents": pd.DataFrame({"document_id": ["a", "b", "c"]}),
        "categories": pd.DataFrame(rows, columns=["document_id", "label", "score"]),
    }
    found = _labels(tables, references, Bootstrap())
    assert found is not None
    assert (found["n"], found["accuracy"]["value"]) == (3, pytest.approx(1 / 3))
    assert found["unknown"] is None, "no document has all labels: the run may know more"


CLASSIFIER = """\
from spacy.language import Language

@Language.component("newsroom")
def newsroom(doc):
    doc.cats = {"sport": 0.75 if "goal" in doc.text else 0.25, "money": 0.5}
    return doc
"""


def test_labels_that_the_run_does_not_know(tmp_path, cli, quick, corpus, register) -> None:
    register("newsroom_of_a_test", CLASSIFIER)
    source = corpus(
        {"id": "a", "text": "A goal.", "label": "sport"},
        {"id": "b", "text": "A goal!", "label": "money"},
        {"id": "c", "text": "A goal?", "label": "Sport"},
        {"id": "d", "text": "Rain.", "label": "weather"},
        {"id": "e", "text": "Snow.", "label": "weather"},
        {"id": "f", "text": "Rain.", "labels": ["weather", "money"]},
    )
    pipeline, out = quick("newsroom"), tmp_path / "out"
    run(source, out, pipeline=pipeline)
    report = evaluate_run(out, source)
    assert (report["labels"]["n"], report["labels"]["accuracy"]["value"]) == (
        3,
        pytest.approx(2 / 3),
    )
    assert report["labels"]["unknown"] == {
        "n": 3,
        "labels": {"weather": 2, "Sport": 1},
        "run_labels": ["money", "sport"],
    }
    message = (
        "The label accuracy leaves out 3 documents with a label that the run does not know: "
        "'weather' (2), 'Sport' (1. Did you mean 'sport'?). It knows: money, sport. Correct the "
        "label in the corpus, or add it to the labels of the classifier."
    )
    assert report["warnings"] == [message]
    done = cli("evaluate", source, "--out", out, "-p", pipeline, "--quiet")
    assert f"Warning: {message}" in done.err
    (line,) = (line for line in done.out.splitlines() if "unknown label" in line.lower())
    assert line.split()[0].lower() == "labels"


def test_the_command(tmp_path: Path, cli: Callable[..., Any]) -> None:
    corpus = ROOT / "corpora" / "labelled.jsonl"
    out, figures, plot = tmp_path / "out", tmp_path / "figures.json", tmp_path / "plot.svg"
    options = ("--echo", "--out", out, "--json-file", figures, "--plot", plot, "--resamples", 50)
    done = cli("evaluate", corpus, *options, "--quiet")
    assert done.code == 0, done.err
    assert done.out.startswith("Answers (percent; in brackets the 95% interval over documents)")
    assert "rouge1" in done.out
    found = json.loads(figures.read_text())
    assert found["answers"]["overall"]["n"] == 36
    assert found["summaries"]["n"] == 12
    assert plot.read_text().startswith("<svg ")
    again = cli("evaluate", corpus, "--run", out, "--resamples", 50)
    assert again.out == done.out, "what is evaluated is the run's folder"
    printed = cli("evaluate", corpus, "--run", out, "--resamples", 50, "--json")
    assert json.loads(printed.out) == found


def test_the_labelled_corpus_is_what_it_says() -> None:
    records = list(read_corpus(ROOT / "corpora" / "labelled.jsonl"))
    assert len(records) == 12
    none = 0
    for record in records:
        assert isinstance(record, Record)
        assert len(record.questions) == 3
        assert record.meta["summary"]
        for question in record.questions:
            assert question.answers is not None
            none += not question.answers
            assert all(answer in record.text for answer in question.answers), question
    assert none == 12
