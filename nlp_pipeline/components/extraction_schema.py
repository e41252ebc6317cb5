"""The JSON schema of `llama_extractor`: read, checked and bounded before any model is loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from spacy.util import registry

from nlp_pipeline.errors.config import InvalidSetting
from nlp_pipeline.errors.generation import ExtractionInvalid
from nlp_pipeline.errors.meta import PackageMissing
from nlp_pipeline.generation.constraints.grammar import Grammar, check_grammar
from nlp_pipeline.generation.constraints.json_grammar import MAX_STRING, json_grammar
from nlp_pipeline.generation.interface import Completion

if not hasattr(registry, "llama_schemas"):
    registry.create("llama_schemas", entry_points=True)

MAX_ITEMS, MAX_INTEGER = 8, 10**12
"""Bounds where a schema has none: a small model that may go on for ever often does."""

_FORM = "a JSON schema of type object, or a pydantic model, as a dict or a registered function"


@dataclass(frozen=True)
class ExtractionSchema:
    """What an extraction must look like.

    Attributes:
        schema: With bounds on every string and array.
        substrings: Names of the properties whose strings have to stand in the document.
        model: The pydantic model it came of, if any: it validates more than its schema says.
    """

    schema: dict[str, Any]
    substrings: frozenset[str]
    model: Any = None

    def fields(self) -> list[dict[str, str]]:
        """The form as the prompt shows it: name and description of each property."""
        properties = self.schema["properties"]
        return [{"name": k, "description": _described(v)} for k, v in properties.items()]

    def grammar(self, pieces: Sequence[str]) -> str:
        """The grammar for one document.

        Args:
            pieces: Its text in the pieces that a substring may begin and end with.
        """
        return json_grammar(self.schema, self.substrings, pieces)

    def constraint(self, pieces: Sequence[str]) -> Grammar:
        """The constraint for one document; see `grammar`."""
        example = json.dumps(_example(self.schema), ensure_ascii=False)
        return Grammar(
            self.grammar(pieces),
            example,
            self.schema,
            _substrings=self.substrings,
            _pieces=tuple(pieces) if self.substrings else (),
        )

    @property
    def digest(self) -> str:
        """SHA-256 of the schema: part of a run's fingerprint."""
        return hashlib.sha256(json.dumps(self.schema, sort_keys=True).encode()).hexdigest()

    def review(self, completion: Completion) -> ExtractionInvalid | None:
        """Why a completion is no object of the schema; None where it is one."""
        try:
            problem = self.problem(json.loads(completion.text))
        except ValueError:
            is_cut_off = completion.finish_reason == "length"
            problem = "max_new_tokens was reached" if is_cut_off else "the reply is no JSON"
        return None if problem is None else ExtractionInvalid(problem, completion.text)

    def problem(self, value: Any) -> str | None:
        """What is wrong with an extraction; None where it is valid."""
        if self.model is not None:
            try:
                self.model.model_validate(value)
            except ValueError as error:
                return "; ".join(line.strip() for line in str(error).splitlines()[1:3])
            return None
        violation = next(_validator(self.schema).iter_errors(value), None)
        return None if violation is None else str(violation.message)


def parse_schema(component: str, setting: Any, substrings: Sequence[str]) -> ExtractionSchema:
    """The schema of a config.

    Args:
        component: For messages.
        setting: A JSON schema, or a pydantic model class.
        substrings: Names of properties, at any depth, whose strings must stand in the document.

    Raises:
        InvalidSetting: It is no schema of an object, it is one that nothing can satisfy, or a
            name among `substrings` is no property that holds texts.
        PackageMissing: The extra `structured` is not installed.
    """
    model = setting if hasattr(setting, "model_json_schema") else None
    schema = model.model_json_schema() if model is not None else deepcopy(setting)
    if not isinstance(schema, Mapping) or not schema.get("properties"):
        raise InvalidSetting(component, "schema", setting, allowed=_FORM)
    schema = _inlined(component, dict(schema))
    _check_schema(component, schema)
    _add_bounds(schema)
    unknown = sorted(set(substrings) - set(_text_properties(schema)))
    if unknown:
        texts = ", ".join(sorted(set(_text_properties(schema)))) or "none"
        allowed = f"names of properties that hold texts, of which there are: {texts}"
        raise InvalidSetting(component, "substrings", unknown[0], allowed=allowed)
    parsed = ExtractionSchema(schema, frozenset(substrings), model)
    try:
        check_grammar(parsed.grammar(["a"]))
    except PackageMissing:
        raise
    except Exception as error:
        raise InvalidSetting(
            component, "schema", setting, allowed=f"a schema that some text satisfies ({error})"
        ) from error
    return parsed


def _check_schema(component: str, schema: dict[str, Any]) -> None:
    """Refuses what is no JSON schema at all."""
    try:
        _validator(schema).check_schema(schema)
    except PackageMissing:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise InvalidSetting(component, "schema", schema, allowed=f"{_FORM} ({reason})") from error


def _validator(schema: dict[str, Any]) -> Any:
    try:
        from jsonschema import Draft202012Validator
    except ImportError as error:
        raise PackageMissing("llama_extractor", "jsonschema", "structured") from error
    return Draft202012Validator(schema)


def _described(node: Any) -> str:
    """What the prompt says of a property: its description and the values it may have."""
    parts = [node["description"]] if node.get("description") else []
    if "enum" in node:
        parts.append("one of " + ", ".join(json.dumps(v, ensure_ascii=False) for v in node["enum"]))
    return "; ".join(parts)


def _inlined(component: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its `$ref`s replaced by what they name, which no cycle may hold."""
    definitions = {**schema.pop("$defs", {}), **schema.pop("definitions", {})}

    def walk(node: Any, ancestors: tuple[str, ...]) -> Any:
        if isinstance(node, list):
            return [walk(item, ancestors) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            name = str(node["$ref"]).rsplit("/", 1)[-1]
            if name not in definitions or name in ancestors:
                allowed = "without references to itself or to other documents"
                raise InvalidSetting(component, "schema", node["$ref"], allowed=allowed)
            rest = {key: value for key, value in node.items() if key != "$ref"}
            return {**walk(definitions[name], (*ancestors, name)), **walk(rest, ancestors)}
        return {key: walk(value, ancestors) for key, value in node.items()}

    inlined: dict[str, Any] = walk(schema, ())
    return inlined


def _add_bounds(node: Any) -> None:
    """Gives texts, arrays and integers an end, and objects none but the named properties."""
    for child in _children(node):
        _add_bounds(child)
    kinds = node.get("type") if isinstance(node, dict) else None
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "string" in kinds and not {"enum", "const", "pattern", "format"} & set(node):
        node.setdefault("maxLength", max(MAX_STRING, node.get("minLength", 0)))
    if "array" in kinds:
        node.setdefault("maxItems", max(MAX_ITEMS, node.get("minItems", 0)))
    if "integer" in kinds and "enum" not in node:
        if "exclusiveMinimum" not in node:
            node.setdefault("minimum", -MAX_INTEGER)
        if "exclusiveMaximum" not in node:
            node.setdefault("maximum", MAX_INTEGER)
    if "object" in kinds and "properties" in node:
        node.setdefault("additionalProperties", False)


def _example(node: Any) -> Any:
    """A small value of a schema, for the echo generator; patterns are not looked at."""
    for key in ("const", "default"):
        if key in node:
            return node[key]
    for key in ("enum", "examples"):
        if node.get(key):
            return node[key][0]
    for key in ("anyOf", "oneOf"):
        if node.get(key):
            return _example(node[key][0])
    kinds = node.get("type", "string")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "object":
        required = node.get("required", ())
        return {k: _example(v) for k, v in node.get("properties", {}).items() if k in required}
    if kind == "array":
        return [_example(node.get("items", {}))] * node.get("minItems", 0)
    if kind in ("integer", "number"):
        return max(node.get("minimum", 0), 0)
    return {"boolean": False, "null": None}.get(kind, "a" * node.get("minLength", 0))


def _children(node: Any) -> Iterator[Any]:
    """The schemas inside a schema."""
    if not isinstance(node, dict):
        return
    yield from node.get("properties", {}).values()
    if isinstance(node.get("items"), dict):
        yield node["items"]
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        yield from node.get(key, ())


def _text_properties(node: Any) -> Iterator[str]:
    """Names of the properties, at any depth, whose value or items are texts."""
    if not isinstance(node, dict):
        return
    for name, child in node.get("properties", {}).items():
        inner = child.get("items", child) if isinstance(child, dict) else {}
        kinds = inner.get("type") if isinstance(inner, dict) else None
        if "string" in (kinds if isinstance(kinds, list) else [kinds]):
            yield name
    for child in _children(node):
        yield from _text_properties(child)
