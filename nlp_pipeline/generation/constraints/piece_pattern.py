"""Pieces of a document as a regular expression, for servers that hold a JSON schema's texts to one.

A piece begins and ends at a token. Written out piece by piece the expression would grow with the
square of a piece's length; so neighbouring tokens form a block, and pieces that leave it share what
may follow: each goes on to the next token or ends there, no further than the longest piece of the
block's first token may reach. A piece that begins late in its block is that much shorter at most.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from nlp_pipeline.generation.constraints.json_grammar import MAX_STRING
from nlp_pipeline.generation.constraints.spans import spelled

BLOCKS = 4
"""So many blocks are in the longest piece, where tokens are short: fewer repeat more of the text
inside a block, more of them more of what follows one."""

_SPECIAL = frozenset("^$.[]()|{}*+?\\")
"""Servers do not all know an escape of anything else."""

_UNWRITABLE = re.compile(r'["\\\x00-\x1f\x7f]')
"""JSON escapes these, and servers do not agree on whether a pattern is of the text or its escapes;
no piece goes over one."""


class _Token(NamedTuple):
    """A token and the white space before it, which a piece that begins with it leaves out."""

    space: str
    text: str


def piece_pattern(pieces: Sequence[str], longest: int) -> str:
    """The expression that the pieces of a text match, and nothing else.

    A line break in the text is spelled as a space, as `DocumentSpans` does.

    Args:
        pieces: The text cut wherever a piece may begin and end; what is white space is neither.
        longest: Code points of a piece at most.

    Returns:
        From `^` to `$`; empty where the text has no piece.
    """
    expressions = [
        expression
        for run in _runs(pieces, longest)
        for begin, end in _blocks(run, max(1, longest // BLOCKS))
        for expression in _block_pieces(run, begin, end, longest=longest)
    ]
    return f"^({'|'.join(dict.fromkeys(expressions))})$" if expressions else ""


def schema_with_pieces(
    schema: Mapping[str, Any], substrings: Collection[str], pieces: Sequence[str]
) -> dict[str, Any] | None:
    """A JSON schema whose texts of some names are pieces of a document.

    Args:
        schema: Without references.
        substrings: Names of properties, at any depth.
        pieces: Of the document; see `piece_pattern`.

    Returns:
        The schema, with one definition for each length; None where the document has no piece.
    """
    definitions: dict[str, Any] = {}

    def piece(node: Mapping[str, Any]) -> dict[str, Any]:
        longest = node.get("maxLength", MAX_STRING)
        name = f"piece{longest}"
        if name not in definitions:
            definitions[name] = {"type": "string", "pattern": piece_pattern(pieces, longest)}
        return {"$ref": f"#/$defs/{name}"}

    def walk(node: Any, *, is_piece: bool = False) -> Any:
        if isinstance(node, list):
            return [walk(child, is_piece=is_piece) for child in node]
        if not isinstance(node, Mapping):
            return node
        kinds = node.get("type")
        kinds = kinds if isinstance(kinds, list) else [kinds]
        if is_piece and "string" in kinds:
            others = [{"type": kind} for kind in kinds if kind != "string"]
            return {"anyOf": [piece(node), *others]} if others else piece(node)
        children = {key: walk(node[key], is_piece=is_piece) for key in _NESTED & node.keys()}
        if isinstance(node.get("properties"), Mapping):
            children["properties"] = {
                name: walk(child, is_piece=name in substrings)
                for name, child in node["properties"].items()
            }
        return {**node, **children}

    filled = walk(schema)
    if not all(definition["pattern"] for definition in definitions.values()):
        return None
    return {**filled, "$defs": definitions} if definitions else dict(filled)


_NESTED = frozenset({"items", "anyOf", "oneOf", "allOf", "prefixItems"})


def _runs(pieces: Sequence[str], longest: int) -> Iterator[list[_Token]]:
    """Tokens that follow on each other, up to one that no piece goes over."""
    run: list[_Token] = []
    space = ""
    for is_space, group in groupby(filter(None, pieces), key=str.isspace):
        if is_space:
            space = spelled("".join(group))
            continue
        for text in group:
            is_piece = len(text) <= longest and not _UNWRITABLE.search(text)
            if run and (not is_piece or _UNWRITABLE.search(space)):
                yield run
                run = []
            if is_piece:
                run.append(_Token(space if run else "", text))
            space = ""
    if run:
        yield run


def _blocks(run: Sequence[_Token], size: int) -> Iterator[tuple[int, int]]:
    """Neighbouring tokens of so many code points together, at least one, as their numbers."""
    begin, length = 0, 0
    for number, token in enumerate(run):
        width = len(token.space) + len(token.text)
        if number > begin and length + width > size:
            yield begin, number
            begin, length = number, 0
        length += width
    yield begin, len(run)


def _block_pieces(run: Sequence[_Token], begin: int, end: int, *, longest: int) -> Iterator[str]:
    """The pieces that begin in a block: those that end in it, then those that leave it."""
    block = run[begin:end]
    for number in range(len(block)):
        yield _going_on(block[number:], after_space=False)
    length = sum(len(token.space) + len(token.text) for token in block) - len(block[0].space)
    last = end
    while last < len(run) and length + len(run[last].space) + len(run[last].text) <= longest:
        length += len(run[last].space) + len(run[last].text)
        last += 1
    if last > end:
        whole_block = _escaped(block[0].text)
        for token in block[1:]:
            whole_block = f"({whole_block}{_escaped(token.space)})?{_escaped(token.text)}"
        yield whole_block + _going_on(run[end:last], after_space=True)


def _going_on(tokens: Sequence[_Token], *, after_space: bool) -> str:
    """The first token and as many of the next ones as may be."""
    expression = ""
    for number, token in reversed(list(enumerate(tokens))):
        element = _escaped(token.text)
        if number or after_space:
            element = _escaped(token.space) + element
        expression = f"{element}({expression})?" if expression else element
    return expression


def _escaped(text: str) -> str:
    return "".join(f"\\{char}" if char in _SPECIAL else char for char in text)
