"""Where the sentences of a generated text end, told by its punctuation alone.

A parser takes the end of any text for the end of a sentence, so it cannot tell whether the text
was cut off. Where a mark could be an abbreviation's or a number's, no sentence ends there.
"""

from __future__ import annotations

import re

from spacy.tokens import Doc, Token

from nlp_pipeline.grounding.languages import language_data

_CLOSERS = re.compile(r"(?:[\"'”’)\]」』）】]|[ \u00a0\u202f]?»)*")
_WIDE_END = re.compile(rf"[。！？｡]+{_CLOSERS.pattern}")
"""In a script without spaces: no tokenizer but its own parts these marks from the words."""
_MARKS = frozenset(".!?…।؟")
_LINE = re.compile(r"\s*\n\s*")
_OPEN_LINE = (":", ",", ";", "-", "–", "—")


def sentence_ends(doc: Doc) -> list[int]:
    """The offsets behind the sentences of a text, in characters; a tail without an end has none.

    A line that ends in a word, as the items of a list do, is a sentence too; its last is not.

    Args:
        doc: The text as tokens; nothing else of it is read.
    """
    text = doc.text
    ends = {_end(doc, token) for token in doc} | {m.end() for m in _WIDE_END.finditer(text)}
    for line_break in _LINE.finditer(text):
        line = text[: line_break.start()].rstrip()
        if line and line_break.end() < len(text) and not line.endswith(_OPEN_LINE):
            ends.add(len(line))
    return sorted(end for end in ends if end is not None)


def _end(doc: Doc, token: Token) -> int | None:
    """Where the sentence ends that a token closes; None where it closes none."""
    if not token.text or not set(token.text) <= _MARKS:
        return None
    text = doc.text
    match = _CLOSERS.match(text, token.idx + len(token.text))
    assert match is not None
    end, following = match.end(), text[match.end() :]
    if following and not following[0].isspace():
        return None  # within a word: an address, a number
    if following.lstrip()[:1].islower():
        return None  # "etc. and", a name with an exclamation mark
    return None if token.text == "." and _abbreviates(doc, token) else end


def _abbreviates(doc: Doc, stop: Token) -> bool:
    """Whether a full stop may belong to the word before it: initial, title, number of an item."""
    if not stop.i or doc[stop.i - 1].whitespace_:
        return False
    word = doc[stop.i - 1].text
    data = language_data(doc.lang_)
    if word.isdecimal():
        line_start = doc.text.rfind("\n", 0, stop.idx) + 1
        opens_line = not doc.text[line_start : doc[stop.i - 1].idx].strip()
        return opens_line or stop.idx + 1 == len(doc.text)
    is_initial = len(word) == 1 and word.isalpha() and word != "I" and not _is_wide(word)
    is_title = word.casefold() in {**data.polite, **data.titles} and word[0].isupper()
    return is_initial or "." in word or (is_title and len(word) <= _LONGEST_TITLE)


_LONGEST_TITLE = 4
"""Letters of a title that is written with a full stop: "Prof."; longer ones are whole words."""


def _is_wide(letter: str) -> bool:
    """Whether a letter is a word by itself, as in Chinese and Japanese."""
    return "\u3040" <= letter <= "\u9fff"
