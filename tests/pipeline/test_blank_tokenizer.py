"""`blank_qa`: in any language an answer that stands in the text can be reached exactly."""

from __future__ import annotations

import json
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import spacy
from hypothesis import example, given, settings
from hypothesis import strategies as st
from spacy.language import Language

from nlp_pipeline import read_run
from nlp_pipeline import run as run_corpus
from nlp_pipeline.errors.config import LanguageIsTrained, LanguageUnknown
from nlp_pipeline.generation.backends.echo import EchoGenerator
from nlp_pipeline.generation.interface import Completion, GenerationRequest
from nlp_pipeline.pipeline import PipelineSpec, load_pipeline

CORPUS = Path(__file__).parents[2] / "corpora" / "languages.jsonl"
RECORDS: list[dict[str, Any]] = [
    json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()
]


@lru_cache
def blank(lang: str) -> Language:
    return load_pipeline(PipelineSpec("blank_qa", lang=lang, echo=True))


def tokens(lang: str, text: str) -> list[str]:
    return [token.text for token in blank(lang).make_doc(text)]


@pytest.mark.parametrize("lang", ["own", "xx"])
@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["id"])
def test_every_reference_answer_can_be_reached(record: dict[str, Any], lang: str) -> None:
    text, meta = record["text"], record["meta"]
    doc = blank(meta["language"] if lang == "own" else lang).make_doc(text)
    assert doc.text == text
    for answer in meta["answers"].values():
        start = text.index(answer)
        span = doc.char_span(start, start + len(answer))
        assert span is not None, (answer, [token.text for token in doc])
        assert (span.text, span.start_char, span.end_char) == (answer, start, start + len(answer))


class Oracle(EchoGenerator):
    """Knows the reference answers; is never sure that there is none."""

    def __init__(self, answers: dict[str, str]) -> None:
        super().__init__()
        self._answers = answers

    def complete(self, request: GenerationRequest, sample: int = 0) -> Completion:
        turn = request.prompt.messages[-1].content  # type: ignore[union-attr]
        text = next(answer for question, answer in self._answers.items() if question in turn)
        if not request.constraint.example or request.params.num_beams == 1:  # type: ignore[union-attr]
            text = "not in the document"
        return Completion(request.id, text, (1,), (-1.0,), "stop", 1, output_tokens=1)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["id"])
def test_an_answer_comes_back_where_it_stands(record: dict[str, Any]) -> None:
    answers = record["meta"]["answers"]
    nlp = load_pipeline(PipelineSpec("blank_qa", lang=record["meta"]["language"], echo=True))
    by_question = {q["text"]: answers[q["id"]] for q in record["questions"]}
    pipe: Any = nlp.get_pipe("llama_qa")
    pipe.generator = Oracle(
        {**by_question, "What is this text about?": next(iter(answers.values()))}
    )
    doc = nlp.make_doc(record["text"])
    doc._.questions = record["questions"]
    rows = {row["question_id"]: row for row in nlp(doc)._.answers}
    for question, answer in answers.items():
        row = rows[question]
        start, end = row["start_char"], row["end_char"]
        assert (row["answer"], row["alignment"]) == (answer, "exact")
        assert record["text"][start:end] == answer
        assert doc[row["start_token"] : row["end_token"]].text == answer


@pytest.mark.parametrize(
    ("lang", "text", "expected"),
    [
        ("de", "Es war 1943. Am 3. Mai", ["Es", "war", "1943", ".", "Am", "3.", "Mai"]),
        ("de", "Saal 12.\nRaum B4.", ["Saal", "12", ".", "\n", "Raum", "B4", "."]),
        ("de", "Dr. Au, ~12 bis -3", ["Dr.", "Au", ",", "~", "12", "bis", "-", "3"]),
        ("en", "It's 1943 in the U.S.", ["It", "'s", "1943", "in", "the", "U.S."]),
        ("zh", "2012年，林", ["2012", "年", "，", "林"]),
        ("ar", "بالقاهرة والجمعة", ["ب", "القاهرة", "و", "الجمعة"]),
        ("ar", "وفاء بلد", ["وفاء", "بلد"]),
        ("th", "ที่น้ำ 15", ["ที่", "น้ำ"[:2], "ำ", "15"]),
        ("xx", "👩‍🔬👍🏽🇮🇪🇫🇷", ["👩‍🔬", "👍🏽", "🇮🇪", "🇫🇷"]),
        ("xx", "e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("xx", "\ufeffAda", ["\ufeff", "Ada"]),
        ("xx", "", []),
        ("xx", " ", [" "]),
    ],
)
def test_tokens(lang: str, text: str, expected: list[str]) -> None:
    assert tokens(lang, text) == expected


@pytest.mark.parametrize("lang", ["de", "en", "fr", "xx"])
def test_words_with_spaces_around_are_those_of_spacy(lang: str) -> None:
    text = "Ada l'a vu, don't! In  der Nähe\n(z. B. dort): https://a.example/b?c=1 ..."
    assert tokens(lang, text) == [token.text for token in spacy.blank(lang).make_doc(text)]


PIECES = st.lists(
    st.sampled_from(
        [*"aé1. \n年の한ที่ำ،ب", "1943.", "~7", "\u0301", "\u200d", "👩", "🇮", "🏽", "\ufeff", "والب"]
    )
    | st.characters(codec="utf-8"),
    max_size=20,
).map("".join)


@settings(deadline=None, max_examples=150)
@given(text=PIECES, lang=st.sampled_from(["xx", "de", "ar", "zh"]))
@example(text="\u0301a", lang="xx")
@example(text="a \u0301 \u200d", lang="xx")
@example(text="👩\u200d \u200d👩", lang="xx")
def test_no_character_is_lost_or_moved(text: str, lang: str) -> None:
    doc = blank(lang).make_doc(text)
    assert doc.text == text
    for token in doc:
        assert text[token.idx : token.idx + len(token)] == token.text
        if token.idx and not text[token.idx - 1].isspace():
            assert unicodedata.category(token.text[0]) not in ("Mn", "Mc", "Me")


def test_a_language_that_there_is_not() -> None:
    with pytest.raises(LanguageUnknown) as raised:
        load_pipeline(PipelineSpec("blank_qa", lang="qq"))
    assert str(raised.value) == (
        "spaCy knows no language 'qq' (--lang takes a code such as de, zh or ar). Type "
        "`--lang xx` for the rules that most languages share."
    )


def test_a_pipeline_that_was_trained_for_another() -> None:
    with pytest.raises(LanguageIsTrained) as raised:
        load_pipeline(PipelineSpec("en_qa", lang="de"))
    assert str(raised.value) == (
        "The pipeline 'en_qa' is for the language 'en' and not 'de': tok2vec, tagger, parser, "
        "attribute_ruler, lemmatizer, ner were trained for it. Type `-p blank_qa --lang de`, "
        "which needs no trained component."
    )


def test_from_the_command_line_to_the_tables(cli: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = cli("run", str(CORPUS), "-p", "blank_qa", "--lang", "de", "-o", str(out), "--echo")
    assert done.code == 0, done
    tables = read_run(out)
    texts = tables["documents"].set_index("document_id").text
    assert texts.tolist() == [record["text"] for record in RECORDS]
    assert set(tables["documents"].language) == {"de"}
    for row in tables["tokens"].itertuples():
        assert texts[str(row.document_id)][row.start_char : row.end_char] == row.text
    again = run_corpus(CORPUS, tmp_path / "two", pipeline="blank_qa", lang="de", echo=True)
    assert again.documents == len(RECORDS)
    assert read_run(tmp_path / "two")["tokens"].equals(tables["tokens"])
