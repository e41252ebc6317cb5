"""A JSON schema as a grammar, some of whose strings must be pieces of a document.

What holds no such string is left to llguidance's own JSON schema rules; the objects and arrays
around one are written out here: properties in the schema's order, `, ` and `: ` between them, as
language models write JSON.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

MAX_STRING = 120
"""Code points of a text whose schema does not say."""

_STYLE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


def json_grammar(schema: dict[str, Any], substrings: Collection[str], pieces: Sequence[str]) -> str:
    """The grammar of one document.

    Args:
        schema: Without references.
        substrings: Names of properties, at any depth, whose strings are pieces of the document.
        pieces: The document's text cut wherever such a string may begin and end.
    """
    writer = _Writer(frozenset(substrings), pieces)
    start = writer.rule(schema)
    return "\n".join([f"start: {start}", *writer.rules])


class _Writer:
    """Collects rules; `rule` gives the expression for a schema."""

    def __init__(self, substrings: frozenset[str], pieces: Sequence[str]) -> None:
        self.rules: list[str] = []
        self._substrings = substrings
        self._pieces = pieces
        self._pieces_named = False

    def rule(self, schema: Any, *, substring: bool = False) -> str:
        if not substring and not self._holds_substring(schema):
            return f"%json {json.dumps({**schema, 'x-guidance': _STYLE})}"
        kinds = schema.get("type")
        kinds = kinds if isinstance(kinds, list) else [kinds]
        choices = [self._of_kind(kind, schema, substring) for kind in kinds if kind != "null"]
        choices += [_literal("null")] * ("null" in kinds)
        if kinds == [None]:
            branches = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
            choices = [self.rule(branch, substring=substring) for branch in branches]
        return self._named(" | ".join(self._named(choice) for choice in choices))

    def _of_kind(self, kind: Any, schema: dict[str, Any], substring: bool) -> str:
        if kind == "object":
            return self._object(schema)
        if kind == "array":
            return self._array(schema, substring)
        if kind == "string" and substring:
            return f'"\\"" {self._piece(schema)} "\\""'
        return self.rule({**schema, "type": kind})

    def _object(self, schema: dict[str, Any]) -> str:
        required = set(schema.get("required", ()))
        members = [
            (name in required, f"{_literal(json.dumps(name) + ': ')} {value}")
            for name, child in schema["properties"].items()
            for value in [self.rule(child, substring=name in self._substrings)]
        ]
        return f'"{{" {self._members(members)} "}}"'

    def _members(self, members: list[tuple[bool, str]]) -> str:
        """Members in order, optional ones or not, with commas between those that are there."""
        # What may come after a place depends on whether anything stands before it.
        after_some = after_none = '""'
        for needed, member in reversed(members):
            rule = self._named(f"{_literal(', ')} {member} {after_some}")
            begin = self._named(f"{member} {after_some}")
            after_none = begin if needed else self._named(f"{begin} | {after_none}")
            after_some = rule if needed else self._named(f"{rule} | {after_some}")
        return after_none

    def _array(self, schema: dict[str, Any], substring: bool) -> str:
        item = self._named(self.rule(schema["items"], substring=substring))
        low, high = schema.get("minItems", 0), schema.get("maxItems", 8)
        if high == 0:
            return _literal("[]")
        more = f"({_literal(', ')} {item}){{{max(low - 1, 0)},{high - 1}}}"
        full = f'"[" {item} {more} "]"'
        return full if low else f"{full} | {_literal('[]')}"

    def _piece(self, schema: dict[str, Any]) -> str:
        """The terminal of a piece of the document, as it stands between quotes in JSON.

        It begins and ends with something else than a space, and is no longer than its schema
        allows: a model that copies does not always know when to stop.
        """
        if not self._pieces_named:
            inner = [json.dumps(piece, ensure_ascii=False)[1:-1] for piece in self._pieces]
            chunks = json.dumps({"substring_chunks": [piece for piece in inner if piece]})
            self.rules.append(f"PIECES: %regex {chunks}")
            self._pieces_named = True
        name = f"PIECE{len(self.rules)}"
        longest = max(schema.get("maxLength", MAX_STRING) - 2, 0)
        self.rules.append(rf"{name}: PIECES & /(?s:\S(.{{0,{longest}}}\S)?)/")
        return name

    def _holds_substring(self, schema: Any) -> bool:
        if isinstance(schema, list):
            return any(map(self._holds_substring, schema))
        if not isinstance(schema, dict):
            return False
        named = schema.get("properties")
        if isinstance(named, dict) and self._substrings & set(named):
            return True
        return any(map(self._holds_substring, schema.values()))

    def _named(self, expression: str) -> str:
        name = f"r{len(self.rules)}"
        self.rules.append(f"{name}: {expression}")
        return name


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
