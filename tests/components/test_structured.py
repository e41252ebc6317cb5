"""`llama_extractor`, `llama_classifier` and `llama_prompt`."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import spacy
from pydantic import BaseModel, Field
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.util import registry

from nlp_pipeline import to_frames
from nlp_pipeline.components.extraction_schema import parse_schema
from nlp_pipeline.components.labels import corrected, parse_labels
from nlp_pipeline.components.llama_classifier import CONTENT_FREE
from nlp_pipeline.errors.config import InvalidSetting, PromptTemplateInvalid
from nlp_pipeline.generation.interface import Completion

ECHO = {"@llama_generators": "nlp_pipeline.echo.v1", "fail_on": "UNSPEAKABLE"}
TINY = {
    "@llama_generators": "nlp_pipeline.Llama.v1",
    "model": "tests/data/tiny_llama",
    "dtype": "float64",
}
FORM = {
    "type": "object",
    "properties": {
        "who": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
        "deep": {
            "type": "object",
            "properties": {"a/b": {"type": ["string", "null"], "maxLength": 30}},
            "required": ["a/b"],
        },
    },
    "required": ["who", "deep"],
}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama_extractor": {"schema": FORM},
    "llama_classifier": {"labels": ["sport", "sports news", "data"]},
    "llama_prompt": {"prompt": "{{ text }}", "attribute": "headline"},
}
LOOP = {"items": {"$ref": "#/$defs/a"}}
KEPT = {
    "llama_extractor": "extractions",
    "llama_classifier": "classifications",
    "llama_prompt": "generations",
}
TEXTS = ["Omar Haddad saw the data server.", "UNSPEAKABLE", "It rained in Oslo."]


def build(name: str, generator: dict[str, Any] = ECHO, **config: Any) -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe(name, config={**CONFIGS[name], "generator": generator, **config})
    return nlp


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.chdir(request.config.rootpath)


@pytest.mark.parametrize("name", CONFIGS)
class TestEachOfThem:
    def test_order_contexts_and_one_failure(self, name: str) -> None:
        nlp, calls = build(name), list[str]()
        handler: Any = lambda _, __, docs, error: calls.append(docs[0].text)  # noqa: E731
        nlp.set_error_handler(handler)
        pairs = list(zip(TEXTS, range(3), strict=True))
        done = list(nlp.pipe(pairs, as_tuples=True))
        assert [(doc.text, context) for doc, context in done] == pairs
        kept = [getattr(doc._, KEPT[name])[0] for doc, _ in done]
        assert [k["status"] == "error" for k in kept] == [False, True, False]
        assert set(calls) == {"UNSPEAKABLE"}
        assert kept[0].keys() == kept[1].keys()
        assert "the prompt holds 'UNSPEAKABLE'" in kept[1]["error"]

    def test_survives_bytes_and_doc_bin_and_a_second_pass(self, name: str) -> None:
        nlp = build(name)
        for doc in nlp.pipe(TEXTS):
            copy = Doc(nlp.vocab).from_bytes(doc.to_bytes())
            (other,) = DocBin(docs=[doc], store_user_data=True).get_docs(nlp.vocab)
            kept = getattr(doc._, KEPT[name])
            json.dumps(kept)
            assert list(getattr(copy._, KEPT[name])) == kept
            assert next(iter(getattr(other._, KEPT[name])))["status"] == kept[0]["status"]
            assert copy.cats == doc.cats
            assert getattr(nlp(doc)._, KEPT[name]) == kept

    def test_to_disk(self, name: str, tmp_path: Any) -> None:
        nlp = build(name)
        nlp.to_disk(tmp_path)
        again = spacy.load(tmp_path)
        assert getattr(again(TEXTS[0])._, KEPT[name]) == getattr(nlp(TEXTS[0])._, KEPT[name])

    def test_a_text_without_words(self, name: str) -> None:
        frames = to_frames(build(name).pipe(["", " \n "]))
        assert list(frames["documents"]["status"]) == (
            ["error"] * 2 if name == "llama_prompt" else ["ok"] * 2
        )
        wanted = "error" if name == "llama_prompt" else "no_answer"
        assert set(frames[KEPT[name]]["status"]) == {wanted}

    def test_one_token_and_french(self, name: str) -> None:
        nlp = spacy.blank("fr")
        nlp.add_pipe(name, config={**CONFIGS[name], "generator": TINY})
        for doc in nlp.pipe(["Oui", "Où est l'écluse de Zoé ?"]):
            assert doc._.errors == []


class TestExtractor:
    def test_what_is_found_obeys_the_schema_and_stands_in_the_text(self) -> None:
        nlp = build("llama_extractor", TINY, substrings=["who", "a/b"])
        docs = list(nlp.pipe([TEXTS[0], 'Zoë said "no"\n\tin Oslo \\ Bergen.']))
        for doc in docs:
            found = doc._.extraction
            assert nlp.get_pipe("llama_extractor").schema.problem(found) is None  # type: ignore[attr-defined]
            values = [*found["who"], found["deep"]["a/b"]]
            assert all(value is None or value in doc.text for value in values)
            (kept,) = doc._.extractions
            assert [f["field"] for f in kept["fields"]][-1] == "/deep/a~1b"
            for field in kept["fields"]:
                if field["value"] is not None:
                    assert field["alignment"] in ("exact", "normalized")
                    span = doc.char_span(field["start_char"], field["end_char"])
                    assert span is not None
        rows = to_frames(docs)
        assert list(rows["extractions"]["status"]) == ["ok", "ok"]
        assert json.loads(rows["extractions"]["extraction"][0]) == docs[0]._.extraction
        assert len(rows["extraction_fields"]) == sum(
            len(d._.extractions[0]["fields"]) for d in docs
        )

    def test_one_that_was_cut_off_is_an_error_and_no_half_object(self) -> None:
        doc = build("llama_extractor", TINY, max_new_tokens=4)("Omar Haddad")
        (kept,) = doc._.extractions
        assert (doc._.extraction, kept["status"], kept["output_tokens"]) == (None, "error", 4)
        (error,) = doc._.errors
        assert error["type"] == "extraction_invalid"
        assert error["message"].startswith(
            "The extraction is not valid: max_new_tokens was reached. It begins '{"
        )

    def test_a_pydantic_model_validates_more_than_its_schema(self) -> None:
        class Person(BaseModel):
            """A person."""

            name: str = Field(description="full name", max_length=20)

        class Form(BaseModel):
            """Persons."""

            people: list[Person] = Field(max_length=2)

        vars(registry)["llama_schemas"].register("test_form.v1", func=lambda: Form)
        nlp = build("llama_extractor", schema={"@llama_schemas": "test_form.v1"})
        pipe: Any = nlp.get_pipe("llama_extractor")
        assert pipe.schema.fields() == [{"name": "people", "description": ""}]
        assert nlp("Ada")._.extraction == {"people": []}
        assert "name" in pipe.schema.problem({"people": [{"title": "x"}]})
        assert pipe.schema.digest != parse_schema("x", FORM, []).digest
        said = Completion("a", '{"people": [{}]}', (), (), "stop", 3)
        assert "people.0.name" in str(pipe.review(said))

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"schema": {}}, "components.llama_extractor.schema is {} and must be a JSON schema"),
            ({"schema": {"properties": {"a": {"type": "text"}}}}, "'text' is not"),
            (
                {
                    "schema": {
                        "type": "object",
                        "properties": {"a": {"type": "string", "minLength": 9, "maxLength": 2}},
                        "required": ["a"],
                    }
                },
                "a schema that some text satisfies",
            ),
            (
                {"substrings": ["whom"]},
                "components.llama_extractor.substrings is 'whom' and must be names of properties "
                "that hold texts, of which there are: a/b, who.",
            ),
            (
                {"schema": {"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": LOOP}}},
                "without references to itself or to other documents",
            ),
        ],
    )  # fmt: skip
    def test_schemas_that_cannot_be(self, config: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidSetting) as caught:
            build("llama_extractor", **config)
        assert message in str(caught.value)

    def test_strings_arrays_and_integers_have_an_end(self) -> None:
        schema = parse_schema(
            "x",
            {"type": "object", "properties": {
                "a": {"type": "array", "items": {"type": "string"}},
                "b": {"type": "string", "enum": ["x"]},
                "c": {"type": ["integer", "null"], "minimum": 3},
            }},
            [],
        ).schema  # fmt: skip
        found = schema["properties"]
        assert (found["a"]["maxItems"], found["a"]["items"]["maxLength"]) == (8, 120)
        assert found["b"] == {"type": "string", "enum": ["x"]}
        assert (found["c"]["minimum"], found["c"]["maximum"]) == (3, 10**12)
        assert schema["additionalProperties"] is False


class TestClassifier:
    def test_probabilities_of_labels_that_are_prefixes_of_each_other(self) -> None:
        doc = build("llama_classifier", TINY)(TEXTS[0])
        assert list(doc.cats) == ["sport", "sports news", "data"]
        assert sum(doc.cats.values()) == pytest.approx(1)
        (kept,) = doc._.classifications
        assert kept["labels"] == [max(doc.cats, key=doc.cats.__getitem__)]
        assert kept["reused_tokens"] > kept["prompt_tokens"] / 2, "the labels share the prompt"

    def test_without_calibration_they_are_the_scores_alone(self) -> None:
        doc = build("llama_classifier", TINY, calibration="none")(TEXTS[0])
        scores = doc._.classifications[0]["logprobs"]
        total = sum(math.exp(score) for score in scores.values())
        for label, probability in doc.cats.items():
            assert probability == pytest.approx(math.exp(scores[label]) / total)
        assert corrected(list(scores.values()), [0.0] * 3) == pytest.approx(list(doc.cats.values()))

    def test_calibration_takes_out_what_the_model_says_of_nothing(self) -> None:
        labels = ["sport", "news", "data"]
        nlp = build("llama_classifier", TINY, labels=labels)
        pipe: Any = nlp.get_pipe("llama_classifier")
        (scores,) = [nlp("N/A")._.classifications[0]["logprobs"]]
        priors = pipe._priors
        assert corrected(list(scores.values()), list(scores.values())) == pytest.approx([1 / 3] * 3)
        assert priors.keys() == scores.keys()
        plain = build("llama_classifier", TINY, labels=labels, calibration="none")
        free = list(plain.pipe(CONTENT_FREE))
        for key, prior in priors.items():
            said = [doc._.classifications[0]["logprobs"][key] for doc in free]
            assert prior == pytest.approx(sum(said) / len(said))
        doc = nlp(TEXTS[0])
        own = doc._.classifications[0]["logprobs"]
        expected = corrected(list(own.values()), [priors[key] for key in own])
        assert list(doc.cats.values()) == pytest.approx(expected)

    @pytest.mark.parametrize(
        ("config", "counts_end"),
        [
            ({"labels": ["sport", "data"]}, False),
            ({"labels": ["sport", "data"], "calibration": "none"}, False),
            ({"labels": ["sport", "sports news"]}, False),
            ({"labels": ["sport", "sports news"], "calibration": "none"}, True),
            ({"labels": ["sport", "data"], "multi_label": True}, True),
        ],
    )
    def test_the_end_counts_only_where_it_decides(
        self, config: dict[str, Any], counts_end: bool
    ) -> None:
        pipe: Any = build("llama_classifier", **config).get_pipe("llama_classifier")
        completion = Completion("x", "sport", (5, 6), (-1.0, -2.0), "stop", 3, stop_logprob=-4.0)
        assert pipe._score(completion) == (-7.0 if counts_end else -3.0)

    def test_the_prompt_shows_the_descriptions_that_there_are(self) -> None:
        labels = {"money": "sums, prices", "weather": ""}
        pipe: Any = build("llama_classifier", labels=labels).get_pipe("llama_classifier")
        ask, _ = pipe.asks(spacy.blank("en")("It rained."))
        user = ask.chat.messages[-1].content
        assert user == "It rained.\n\n- money: sums, prices\n\nWhat is the topic of this text?"
        pipe = build("llama_classifier", labels=list(labels)).get_pipe("llama_classifier")
        ask, _ = pipe.asks(spacy.blank("en")("It rained."))
        user = ask.chat.messages[-1].content
        assert " ".join(user.split()) == "It rained. What is the topic of this text?"
        assert ask.chat.answer_prefix == "The topic of this text is"

    def test_several_labels_or_none(self) -> None:
        nlp = build("llama_classifier", TINY, multi_label=True, threshold=0.0)
        doc = nlp(TEXTS[0])
        (kept,) = doc._.classifications
        assert sorted(kept["labels"]) == ["data", "sport", "sports news"]
        assert all(0 <= p <= 1 for p in doc.cats.values())
        assert set(kept["logprobs"]) == {f"{k}={r}" for k in doc.cats for r in ("yes", "no")}
        never = build("llama_classifier", TINY, multi_label=True, threshold=1.0)(TEXTS[0])
        assert (never._.classifications[0]["status"], len(never.cats)) == ("no_answer", 3)

    def test_probabilities_of_other_components_stay(self) -> None:
        nlp = build("llama_classifier")
        doc = nlp.make_doc("Oslo")
        doc.cats = {"mine": 1.0, "sport": 0.9}
        doc = nlp.get_pipe("llama_classifier")(doc)
        assert doc.cats["mine"] == 1.0
        assert doc.cats["sport"] == pytest.approx(1 / 3)

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ([], "components.x.labels is [] and must be a list of at least two texts"),
            (["a"], "must be a list of at least two texts, or an object of label: description."),
            (["a", " A"], "components.x.labels is ' A' and must be different from the other"),
            (["a", ""], "components.x.labels is '' and must be a text of one line"),
            (["a", 3], "components.x.labels is 3 and must be a text of one line"),
            ("ab", "components.x.labels is 'ab' and must be a list"),
            ({"a": 1, "b": ""}, "must be a text of one line"),
        ],
    )
    def test_labels_that_cannot_be(self, labels: Any, message: str) -> None:
        with pytest.raises(InvalidSetting) as caught:
            parse_labels("x", labels, at_least=2)
        assert message in str(caught.value)

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"threshold": 2.0}, "threshold is 2.0 and must be a number from 0 to 1"),
            ({"yes_no": ["y"], "multi_label": True}, "yes_no"),
            ({"template": "qa.v1"}, "it uses 'no_answer'|it uses 'question'"),
        ],
    )
    def test_settings_that_cannot_be(self, config: dict[str, Any], message: str) -> None:
        with pytest.raises((InvalidSetting, PromptTemplateInvalid), match=message):
            build("llama_classifier", **config)


class TestPrompt:
    def test_into_any_attribute(self) -> None:
        nlp = build("llama_prompt", prompt="{{ meta.by }}: {{ sentences | length }} {{ entities }}")
        doc = nlp.make_doc("Anna left.")
        doc._.meta = {"by": "Zoë"}
        doc = nlp.get_pipe("llama_prompt")(doc)
        assert doc._.headline == "Zoë: 1 []"
        (row,) = to_frames([doc])["generations"].to_dict("records")
        assert (row["attribute"], row["text"], row["status"]) == ("headline", "Zoë: 1 []", "ok")

    def test_with_a_schema_it_is_an_object(self) -> None:
        doc = build("llama_prompt", TINY, schema=FORM, max_new_tokens=200)("Omar Haddad")
        assert set(doc._.headline) == {"who", "deep"}
        cut = build("llama_prompt", TINY, schema=FORM, max_new_tokens=2)("Omar Haddad")
        assert (cut._.headline, cut._.generations[0]["status"]) == (None, "error")

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"prompt": ""}, "one of the two, and not both"),
            ({"template": "qa.v1"}, "one of the two, and not both"),
            ({"attribute": "answers"}, "attribute is 'answers' and must be a Python name"),
            ({"attribute": "a b"}, "attribute is 'a b'"),
            ({"prompt": "{{ secret }}"}, "it uses 'secret', and there is: doc_id, entities"),
            ({"prompt": "{% for %}"}, "components.llama_prompt.prompt' cannot be used"),
        ],
    )
    def test_settings_that_cannot_be(self, config: dict[str, Any], message: str) -> None:
        with pytest.raises((InvalidSetting, PromptTemplateInvalid), match=message):
            build("llama_prompt", **config)
