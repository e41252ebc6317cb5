"""`distil`: from a run to a spaCy component, through the gate."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spacy
from small_run import CONFIG, TOPICS, records, take_orders, teacher_run
from spacy.tokens import DocBin
from spacy.util import load_config

from nlp_pipeline.distillation import DistilSettings, distil
from nlp_pipeline.distillation.example_split import FEWEST, split_examples
from nlp_pipeline.distillation.teacher import read_teacher
from nlp_pipeline.distillation.teacher_document import FAILED, NOT_IN_TEXT, UNSURE
from nlp_pipeline.errors.distillation import (
    InvalidDistilSetting,
    LabelledUnfit,
    NoneHeldOut,
    NotAStudent,
    NothingToDistil,
    OneLabelOnly,
    StudentExists,
    StudentNotTrained,
    TeacherBelowBar,
    TeacherNotNamed,
    TooFewExamples,
)

TEXTCAT = DistilSettings("textcat", max_steps=100)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("distil")


@pytest.fixture(scope="module")
def teacher_folder(folder: Path) -> Path:
    """A run of 60 documents, three of which are not for training."""
    documents = records(60)
    documents[0]["orders"]["sure"] = 0.4
    documents[1]["orders"]["value"] = "Nobody Else"
    documents[2]["text"] = ""
    return teacher_run(folder / "teacher", documents)


@pytest.fixture(scope="module")
def labelled(folder: Path) -> str:
    """Labelled documents that the run does not have.

    Of ten the teacher has eight right, and of one it does not know the label.
    """
    documents = records(111)[100:]
    for record in documents:
        record["questions"] = [{"id": "name", "text": "Who?", "answers": [_person(record)]}]
        record["meta"]["extraction"] = {"who": _person(record)}
    documents[-1]["meta"]["label"] = "weather"
    for record in documents[:2]:
        record["orders"]["says"] = next(name for name in TOPICS if name != record["meta"]["label"])
    take_orders(documents)
    file = folder / "labelled.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in documents), encoding="utf-8")
    return str(file)


def _person(record: dict[str, Any]) -> str:
    return " ".join(record["text"].split()[3:5])


@pytest.fixture(scope="module")
def distilled(folder: Path, teacher_folder: Path, labelled: str) -> tuple[Path, dict[str, Any]]:
    """A student of the labels, and its report."""
    out = folder / "fast"
    return out, distil(teacher_folder, out, TEXTCAT, labelled=labelled)


class TestTextcat:
    def test_the_student_is_a_pipeline_that_knows_the_labels(
        self, distilled: tuple[Path, dict[str, Any]]
    ) -> None:
        nlp = spacy.load(distilled[0])
        assert nlp.pipe_names == ["textcat"]
        assert set(nlp.get_pipe("textcat").labels) == set(TOPICS)  # type: ignore[attr-defined]
        for topic, words in TOPICS.items():
            cats = nlp(f"Someone spoke of the {words[0]}: {words[0]}.").cats
            assert max(cats, key=cats.__getitem__) == topic

    def test_the_report_scores_both(self, distilled: tuple[Path, dict[str, Any]]) -> None:
        report = distilled[1]
        scores = report["gate"]
        assert scores["teacher"]["value"] == pytest.approx(0.8)
        assert scores["student"]["value"] >= 0.9, "it cannot learn two errors it never saw"
        gain = scores["student"]["value"] - scores["teacher"]["value"]
        assert scores["difference"]["value"] == pytest.approx(gain)
        assert scores["commonest_label"] == 0.5
        assert scores["n"] == 10
        assert report["agreement"]["value"] >= 0.9
        assert report["left_out"] == {UNSURE: 1, FAILED: 1}
        assert sum(report["documents"].values()) == 58
        assert json.loads((distilled[0] / "distillation" / "report.json").read_text()) == report

    def test_the_config_is_one_that_spacy_trains_by(
        self, distilled: tuple[Path, dict[str, Any]], folder: Path, teacher_folder: Path
    ) -> None:
        """As `python -m spacy train CONFIG --output FOLDER --training.max_steps 3` does it."""
        from spacy.cli.train import train

        inner = distilled[0] / "distillation"
        config = load_config(inner / "config.cfg", interpolate=False)
        assert config["paths"]["train"] == str(inner / "train.spacy")
        train(inner / "config.cfg", folder / "by-hand", overrides={"training.max_steps": 3})
        by_hand = spacy.load(folder / "by-hand" / "model-best")
        assert by_hand.pipe_names == ["textcat"]
        assert by_hand("A goal.").cats.keys() == TOPICS.keys()
        config["training"]["max_steps"] = 2
        edited = folder / "edited.cfg"
        config.to_disk(edited)
        out = folder / "edited"
        distil(teacher_folder, out, TEXTCAT, config=edited)
        assert load_config(out / "distillation" / "config.cfg")["training"]["max_steps"] == 2

    def test_without_labels_it_says_what_agreement_does_not_prove(
        self, folder: Path, teacher_folder: Path
    ) -> None:
        notes: list[str] = []
        report = distil(
            teacher_folder,
            folder / "unproved",
            DistilSettings("textcat", max_steps=2),
            note=notes.append,
        )
        assert report["gate"] is None
        assert "does not prove that either is right" in notes[0]
        assert "--labelled FILE" in notes[0]

    def test_a_teacher_below_the_bar_is_refused(
        self, folder: Path, teacher_folder: Path, labelled: str
    ) -> None:
        out = folder / "refused"
        settings = DistilSettings("textcat", bar=0.9, max_steps=2)
        with pytest.raises(TeacherBelowBar, match=r"80\.0% of 10 .*bar is 90\.0%.*--anyway"):
            distil(teacher_folder, out, settings, labelled=labelled)
        assert not (out / "config.cfg").exists()
        anyway = DistilSettings("textcat", bar=0.9, max_steps=2, anyway=True)
        report = distil(teacher_folder, out, anyway, labelled=labelled)
        assert report["gate"]["bar"] == 0.9

    def test_labelled_documents_of_the_run_are_scored_where_they_are_held_out(
        self, folder: Path, teacher_folder: Path
    ) -> None:
        out = folder / "own"
        settings = DistilSettings("textcat", held_out=0.5, max_steps=2)
        corpus = str(teacher_folder.parent / "corpus.jsonl")
        report = distil(teacher_folder, out, settings, labelled=corpus)
        lines = (out / "distillation" / "labelled.jsonl").read_text().splitlines()
        scored = [json.loads(line) for line in lines]
        assert report["gate"]["n"] == len(scored) > report["documents"]["test"] - 2
        docs = DocBin().from_disk(out / "distillation" / "train.spacy")
        trained = {doc.text for doc in docs.get_docs(spacy.blank("en").vocab)}
        assert not trained & {record["text"] for record in scored}
        assert not (out / "distillation" / "teacher").exists(), "the run has them"
        none = DistilSettings("textcat", held_out=1e-9)
        with pytest.raises(NoneHeldOut, match=r"59 labelled .* --held-out 1e-09"):
            distil(teacher_folder, folder / "none", none, labelled=corpus)

    def test_a_language_without_a_tokenizer_here_keeps_that_of_the_run(
        self, tmp_path: Path
    ) -> None:
        tokenizer = '[nlp.tokenizer]\n@tokenizers = "nlp_pipeline.blank_tokenizer.v1"\n\n'
        config = CONFIG.replace('lang = "en"', 'lang = "ja"')
        config = config.replace("[components]", tokenizer + "[components]")
        run = teacher_run(tmp_path, records(30), config)
        distil(run, tmp_path / "fast", DistilSettings("textcat", max_steps=2))
        nlp = spacy.load(tmp_path / "fast")
        assert nlp.lang == "ja"
        assert [token.text for token in nlp("東京で")] == ["東", "京", "で"]


class TestValues:
    @pytest.mark.parametrize(("what", "source"), [("ner", "answers"), ("spancat", "extractions")])
    def test_values_that_stand_in_the_text(
        self, what: str, source: str, folder: Path, teacher_folder: Path, labelled: str
    ) -> None:
        out = folder / what
        settings = DistilSettings(what, source=source, max_steps=80)
        report = distil(teacher_folder, out, settings, labelled=labelled)
        label = "name" if source == "answers" else "who"
        assert report["labels"] == [label]
        assert report["left_out"][NOT_IN_TEXT] == 1
        assert report["gate"]["teacher"]["value"] == 1.0
        assert report["gate"]["student"]["value"] >= 0.8
        doc = spacy.load(out)("On day 7 Anna Berg spoke of the goal: goal, goal!")
        spans = doc.ents if what == "ner" else doc.spans["sc"]
        assert [(span.text, span.label_) for span in spans] == [("Anna Berg", label)]

    def test_auto_takes_the_form_before_the_answers(self, teacher_folder: Path) -> None:
        teacher = read_teacher(teacher_folder, DistilSettings("ner"))
        assert (teacher.source, teacher.component) == ("extractions", "stamp")
        assert teacher.values["d1", "who"] == ("Nobody Else",)

    def test_an_id_of_several_questions_is_no_label(
        self, tmp_path: Path, corpus: Callable[..., str], quick: Callable[..., str]
    ) -> None:
        from nlp_pipeline.runner.run import run

        path = corpus(
            *({"text": f"Day {n}.", "questions": [{"id": "q", "text": f"{n}?"}]} for n in range(3))
        )
        run(path, tmp_path / "run", pipeline=quick())
        teacher = read_teacher(tmp_path / "run", DistilSettings("spancat"))
        assert teacher.labels == ["who"], "the pipeline's own; `q` is another one each time"

    def test_a_label_of_the_examples_covers_the_words_of_the_value(
        self, folder: Path, teacher_folder: Path
    ) -> None:
        out = folder / "examples"
        distil(teacher_folder, out, DistilSettings("ner", max_steps=1))
        docs = DocBin().from_disk(out / "distillation" / "train.spacy")
        ents = [doc.ents for doc in docs.get_docs(spacy.blank("en").vocab)]
        assert all(len(spans) == 1 and len(spans[0]) == 2 for spans in ents)


class TestBalance:
    def test_the_surest_of_a_common_label_stay(self, tmp_path: Path) -> None:
        documents = records(80)
        for number, record in enumerate(documents):
            record["orders"]["says"] = "money" if number < 12 else "sport"
            record["orders"]["sure"] = 0.6 if number % 2 else 0.9
        run = teacher_run(tmp_path, documents)
        split = split_examples(read_teacher(run, TEXTCAT), _with_balance(2))
        by_label = {label: [d for d in split.train if label in d.labels] for label in TOPICS}
        assert len(by_label["sport"]) == 20, "twice the ten that a rare label counts as"
        assert split.left_out["balanced away"] > 0
        assert all(d.confidence > 0.8 for d in by_label["sport"])
        everything = split_examples(read_teacher(run, TEXTCAT), _with_balance(0))
        assert "balanced away" not in everything.left_out


def _with_balance(ratio: float) -> DistilSettings:
    return DistilSettings("textcat", balance=ratio)


class TestRefusals:
    def test_settings_out_of_range(self) -> None:
        for values in (
            {"min_confidence": 2},
            {"balance": float("inf")},
            {"held_out": 0},
            {"bar": -1},
            {"max_steps": 0},
        ):
            with pytest.raises(InvalidDistilSetting, match=r"--.*-?.* is .* and must be"):
                DistilSettings("textcat", **values)  # type: ignore[arg-type]
        with pytest.raises(
            InvalidDistilSetting, match=r"--what is 'tagger'.*textcat, ner, spancat"
        ):
            DistilSettings("tagger")

    def test_a_run_without_such_rows(
        self, tmp_path: Path, corpus: Callable[..., str], quick: Callable[..., str]
    ) -> None:
        from nlp_pipeline.runner.run import run

        run(corpus("One.", "Two."), tmp_path / "run", pipeline=quick())
        with pytest.raises(NothingToDistil, match=r"labels of a `llama_classifier`.*answers \(2"):
            distil(tmp_path / "run", tmp_path / "out", TEXTCAT)

    def test_another_teacher_than_there_is(self, teacher_folder: Path, tmp_path: Path) -> None:
        settings = DistilSettings("textcat", component="llama")
        with pytest.raises(TeacherNotNamed, match="stamp; 'llama' is not among them"):
            distil(teacher_folder, tmp_path / "out", settings)

    def test_too_few_and_all_alike(self, tmp_path: Path) -> None:
        few = teacher_run(tmp_path / "few", records(FEWEST - 1))
        with pytest.raises(TooFewExamples, match=r"19 documents .* at least 20"):
            distil(few, tmp_path / "out", TEXTCAT)
        documents = records(30)
        for record in documents:
            record["orders"]["says"] = "sport"
        alike = teacher_run(tmp_path / "alike", documents)
        with pytest.raises(OneLabelOnly, match="have the label 'sport'"):
            distil(alike, tmp_path / "out", TEXTCAT)

    def test_labelled_documents_of_another_kind(
        self, teacher_folder: Path, tmp_path: Path, corpus: Callable[..., str]
    ) -> None:
        with pytest.raises(
            LabelledUnfit, match=r"score the classifications of a run by.*meta\.label"
        ):
            distil(teacher_folder, tmp_path / "out", TEXTCAT, labelled=corpus("No label."))

    def test_folders(
        self, distilled: tuple[Path, dict[str, Any]], teacher_folder: Path, tmp_path: Path
    ) -> None:
        with pytest.raises(StudentExists, match="--fresh"):
            distil(teacher_folder, distilled[0], TEXTCAT)
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(NotAStudent, match=r"mine\.txt"):
            distil(teacher_folder, tmp_path, TEXTCAT, fresh=True)
        assert (tmp_path / "mine.txt").exists()

    def test_a_config_that_is_none(self, teacher_folder: Path, tmp_path: Path) -> None:
        file = tmp_path / "bad.cfg"
        file.write_text("[nlp]\nlang = 1\n[paths]\n")
        with pytest.raises(StudentNotTrained, match=r"bad\.cfg|config\.cfg"):
            distil(teacher_folder, tmp_path / "out", TEXTCAT, config=file)


def test_the_command(
    cli: Callable[..., Any], teacher_folder: Path, labelled: str, tmp_path: Path
) -> None:
    options = ("--what", "textcat", "--max-steps", 5, "--labelled", labelled)
    done = cli("distil", teacher_folder, "--out", tmp_path / "fast", *options)
    assert done.code == 0, done.err
    assert "teacher" in done.out
    assert "python -m spacy train" in done.out
    assert "10 labelled documents are few" in done.err
    assert "1 labelled document has only labels that the teacher does not know" in done.err
    refused = cli("distil", teacher_folder, "--out", tmp_path / "fast", *options)
    assert refused.code == 1
    assert "--fresh" in refused.err
    again = cli("distil", teacher_folder, "-o", tmp_path / "fast", *options, "--fresh", "--json")
    assert json.loads(again.out)["gate"]["n"] == 10
