"""Forms whose texts have to stand in the document, over a server."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest
import spacy
from stub_server import Body, Handler, StubServer, fail, reply, said

from nlp_pipeline.errors.server_abilities import (
    PatternsNotObeyed,
)
from nlp_pipeline.generation.backends.server.schema_probe import (
    MAX_FORM_CHARACTERS,
    MAX_FORM_CHARACTERS_ELSEWHERE,
)

FORM = {
    "type": "object",
    "properties": {"who": {"type": ["string", "null"], "maxLength": 40}, "n": {"type": "integer"}},
    "required": ["who", "n"],
}
TEXT = "In Oslo, Omar Haddad found a data server."


def build(stub: StubServer, **config: Any) -> Any:
    nlp = spacy.blank("en")
    block = {"@llama_generators": "nlp_pipeline.server.v1", "base_url": stub.url}
    config = {"schema": FORM, "substrings": ["who"], "generator": block, **config}
    nlp.add_pipe("llama_extractor", config=config)
    return nlp


def schema_of(body: Body) -> Any:
    return body["response_format"]["json_schema"]["schema"]


def obedient(handler: Handler, body: Body) -> None:
    """Fills a form in with the last piece of two words that its pattern allows."""
    piece = next(iter(schema_of(body)["$defs"].values()))["pattern"]
    if "qx7" in piece:
        reply(said(json.dumps({"text": "qx7"})))(handler, body)
        return
    words = str(body["messages"][-1]["content"]).split()
    pairs = [f"{one} {other}" for one, other in pairwise(words)]
    (*_, who) = [pair for pair in pairs if re.fullmatch(piece, pair)]
    reply(said(json.dumps({"who": who, "n": 3})))(handler, body)


@pytest.mark.parametrize("owner", ["llamacpp", "vllm", "sglang", "library", "gateway"])
def test_a_server_that_obeys_patterns_is_sent_the_pieces(stub: StubServer, owner: str) -> None:
    stub.serves(owner)
    stub.otherwise = obedient
    nlp = build(stub)
    for doc in nlp.pipe([TEXT, "Mrs. Falk left."]):
        (row,) = doc._.extractions
        assert row["status"] == "ok", row["error"]
        assert row["extraction"]["who"] in doc.text
        assert row["fields"][0]["alignment"] == "exact"
    probe, first, second = stub.bodies
    assert "Oslo" not in str(probe), "it is tried before a document is sent"
    assert "Haddad" in schema_of(first)["$defs"]["piece40"]["pattern"]
    assert "Falk" in schema_of(second)["$defs"]["piece40"]["pattern"]
    assert schema_of(first)["properties"]["n"]["type"] == "integer"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (reply(said('{"text": "hello"}')), '{"text": "hello"}'),
        (reply(said("Hello!")), "Hello!"),
        (fail(400, "no such format"), "HTTP 400: no such format"),
    ],
)
def test_a_server_that_obeys_none_is_refused_before_any_document(
    stub: StubServer, answer: Any, words: str
) -> None:
    def act(handler: Handler, body: Body) -> None:
        (answer if "response_format" in body else reply(said()))(handler, body)

    stub.otherwise = act
    with pytest.raises(PatternsNotObeyed) as caught:
        build(stub)(TEXT)
    assert f"with the text 'qx7' alone it said: '{words}'" in str(caught.value)
    assert "or leave substrings out; the table extraction_fields says" in str(caught.value)
    assert "Oslo" not in str(stub.bodies)


def test_forms_without_such_texts_go_to_every_server(stub: StubServer) -> None:
    stub.otherwise = reply(said('{"who": "Omar", "n": 1}'))
    doc = build(stub, substrings=[])(TEXT)
    assert doc._.extraction == {"who": "Omar", "n": 1}
    (body,) = stub.bodies
    assert "$defs" not in schema_of(body)


@pytest.mark.parametrize("owner", ["llamacpp", "gateway"])
def test_a_long_text_is_refused_with_what_to_do(stub: StubServer, owner: str) -> None:
    stub.serves(owner)
    stub.otherwise = obedient
    limit = MAX_FORM_CHARACTERS.get(owner, MAX_FORM_CHARACTERS_ELSEWHERE)
    text = (TEXT + " ") * (limit // len(TEXT) + 1)
    doc = build(stub)(text)
    (row,) = doc._.extractions
    assert row["status"] == "error"
    assert row["error"] == (
        f"The text has {len(text)} characters, and a server is sent the pieces of at most {limit} "
        "with a form. Divide the documents before, leave substrings out of the component's "
        "settings, or take the in-process Llama."
    )
    assert len(stub.bodies) == 1


def test_a_text_without_a_piece_is_an_error_of_its_row(stub: StubServer) -> None:
    stub.otherwise = obedient
    doc = build(stub)('"\\"')
    assert doc._.extractions[0]["status"] == "error"
    assert len(stub.bodies) == 1
