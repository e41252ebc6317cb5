"""The pipeline reads its own answers: sentences, evidence, support; no recursion, no state."""

from __future__ import annotations

import pickle
from pipes import llama_qa_of

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from nlp_pipeline.grounding.answer_checker import Checker
from nlp_pipeline.grounding.answer_reader import Reader, split_sentences
from nlp_pipeline.grounding.text import terms
from nlp_pipeline.tables import to_frames

ECHO = {"@llama_generators": "nlp_pipeline.echo.v1"}
TEXT = (
    "The harbour was built by Ada Marsh in 1931. It rained. "
    "The harbour was closed by Olga Lind in 1988. Nobody swam."
)


def read_terms(nlp: Language, question: str) -> dict[str, float]:
    return terms(Reader(nlp, "x").read([question], str(nlp.lang))[0])


def test_evidence_is_ranked_and_has_a_threshold(en) -> None:
    checker = Checker(en, "x")
    (found,) = checker.check_answers(
        en(TEXT),
        [
            (
                read_terms(en, "Who closed the harbour?"),
                "It was Olga Lind who closed it in 1988",
                None,
            )
        ],
    )
    assert found["evidence"] == [2]
    (found,) = checker.check_answers(
        en(TEXT), [(read_terms(en, "Who built it?"), "Ada Marsh", None)]
    )
    assert (found["alignment"], found["evidence"]) == ("exact", [0])
    (found,) = checker.check_answers(en(TEXT), [(read_terms(en, "Who?"), "an elephant", None)])
    assert (found["alignment"], found["evidence"], found["support_score"]) == ("none", [], None)


def test_a_summary_sentence_by_sentence(en) -> None:
    summary = "Ada Marsh built the harbour in 1931. Then Olga Berg closed the harbour."
    found = Checker(en, "x").check_summary(en(TEXT), summary)
    assert [s["text"] for s in found["sentences"]] == [
        "Ada Marsh built the harbour in 1931.",
        "Then Olga Berg closed the harbour.",
    ]
    for sentence in found["sentences"]:
        assert summary[sentence["summary_start"] : sentence["summary_end"]] == sentence["text"]
    assert found["sentences"][0]["evidence"][0] == 0
    assert found["unsupported_entities"] == ["Olga Berg"]
    units = found["sentences"][1]["entities"]
    assert summary[units[0]["answer_start"] : units[0]["answer_end"]] == "Olga Berg"


def test_what_is_not_there_is_not_checked(en) -> None:
    checker = Checker(en, "x")
    (none,) = checker.check_answers(en(TEXT), [(read_terms(en, "Who?"), None, None)])
    assert (none["alignment"], none["unsupported_entities"], none["entities"]) == ("none", None, [])
    assert checker.check_summary(en(TEXT), None)["sentences"] == []


@pytest.mark.parametrize("text", ["Yes. No!\nPerhaps", "東京。大阪", "...", "", "a"])
def test_sentences_without_a_pipe_for_them(text: str) -> None:
    doc = spacy.blank("zh" if "東" in text else "en")(text)
    found = split_sentences(doc)
    expected = {"Yes. No!\nPerhaps": 3, "東京。大阪": 2, "...": 0, "": 0, "a": 1}
    assert len(found) == expected[text]


class TestReader:
    def build(self, *pipes: str) -> Language:
        nlp = spacy.blank("en")
        for pipe in pipes:
            nlp.add_pipe(pipe)
        nlp.add_pipe("llama_qa", config={"generator": ECHO, "questions": ["Who?"]})
        return nlp

    def test_runs_the_linguistic_pipes_before_it_alone(self) -> None:
        calls: list[str] = []

        @Language.component("counts_documents")
        def counts(doc: Doc) -> Doc:
            calls.append(doc.text)
            return doc

        nlp = self.build("sentencizer", "counts_documents")
        nlp.add_pipe("senter", last=True)
        reader = llama_qa_of(nlp).checker.reader
        assert [name for name, _ in reader._pipes()] == ["sentencizer"]
        nlp("Ada left. She slept.", disable=["senter"])
        assert calls == ["Ada left. She slept."]
        nlp.disable_pipe("sentencizer")
        assert list(reader._pipes()) == []

    def test_a_pipe_that_fails_on_an_answer_loses_no_document(self, caplog) -> None:
        class Fails:
            def __call__(self, doc: Doc) -> Doc:
                if "Who" in doc.text:
                    raise ValueError("no questions here")
                return doc

        Language.factory("fails_on_questions", assigns=["doc.ents"], func=lambda nlp, name: Fails())
        doc = self.build("fails_on_questions")("Ada left.")
        assert doc._.answers[0]["status"] == "ok"
        assert "cannot read an answer: no questions here" in caplog.text

    def test_disk_and_pickle(self, tmp_path) -> None:
        nlp = self.build("sentencizer")
        nlp.to_disk(tmp_path / "p")
        again = spacy.load(tmp_path / "p")
        assert llama_qa_of(again).checker.reader.nlp is again
        text = "Ada left. Bob slept."
        assert again(text)._.answers == nlp(text)._.answers
        sent = pickle.loads(pickle.dumps(llama_qa_of(nlp).checker.reader))
        assert [t.text for t in sent.read(["a b"], "en")[0]] == ["a", "b"]

    def test_a_language_that_needs_a_package_is_read_as_plain_tokens(self) -> None:
        assert len(Reader(None, "x").read(["a b"], "no-such-language")[0]) == 2


def test_tables_and_bytes(nlp_en) -> None:
    doc = nlp_en.make_doc(TEXT)
    doc._.questions = ["Who built the harbour in 1931?"]
    doc = nlp_en(doc)
    (copy,) = DocBin(docs=[doc], store_user_data=True).get_docs(nlp_en.vocab)
    once, again = to_frames([doc]), to_frames([copy])
    for name in ("answers", "answer_entities", "summaries", "summary_sentences"):
        assert once[name].to_json() == again[name].to_json()
    assert len(once["summary_sentences"]) >= 1
    entities = once["answer_entities"]
    assert set(entities.component) == {"llama_qa", "llama_summarizer"}
    assert entities[entities.component == "llama_qa"].question_id.notna().all()
    assert entities[entities.component == "llama_summarizer"].sentence.notna().all()
    found = entities[entities.start_char.notna()]
    for row in found[found.matched == "exact"].to_dict("records"):
        assert TEXT[row["start_char"] : row["end_char"]] == row["text"]


def test_the_french_pipeline(fr) -> None:
    text = "La halle a rouvert samedi. Odile Ferrand y vend du fromage depuis 2019."
    (found,) = Checker(fr, "x").check_answers(
        fr(text), [(read_terms(fr, "Qui vend du fromage ?"), "Odile Ferrand et Luc Petit", None)]
    )
    assert found["evidence"] == [1]
    assert "Luc Petit" in found["unsupported_entities"]
