"""What a reader has to say while it goes on: each warning once, blank lines counted."""

from __future__ import annotations

import logging
from collections.abc import Callable

from nlp_pipeline.errors.corpus import corpus_warning, files_unread, id_shared
from nlp_pipeline.errors.records import Place

_log = logging.getLogger("nlp_pipeline.corpus")


class Notes:
    """Passes warnings on, the first of each kind only.

    Args:
        emit: Takes the text of a warning; `None` logs it as `nlp_pipeline.corpus`.
    """

    def __init__(self, emit: Callable[[str], None] | None = None) -> None:
        self._emit = emit or _log.warning
        self._warnings: set[str] = set()
        self._blank_lines = 0

    def once(self, warning: str, place: Place, *names: str) -> None:
        """Says a warning about a record, unless the corpus had one of its kind before."""
        if warning not in self._warnings:
            self._warnings.add(warning)
            self._emit(corpus_warning(warning, place, names=names))

    def shared_id(self, place: Place, key: str, id: str, *, owner: str, name: str) -> None:
        """Says once that records of several files have one id, and what the later ones are called.

        Args:
            place: The later record.
            key: The field of the id.
            id: What both call themselves.
            owner: The file of the first.
            name: What the later one is called.
        """
        if "shared_id" not in self._warnings:
            self._warnings.add("shared_id")
            self._emit(id_shared(place, key, id, owner=owner, name=name))

    def no_documents(self, source: str) -> None:
        """Says that a file was read and held nothing."""
        self._emit(corpus_warning("no_documents", source=source))

    def passed_over(self, source: str, names: tuple[str, ...]) -> None:
        """Says which files of a folder are not part of the corpus."""
        if names:
            self._emit(corpus_warning("files_passed_over", source=source, names=names))

    def left_out(self, source: str, names: tuple[str, ...]) -> None:
        """Says which folders of a folder are not looked into, each with the reason."""
        if names:
            self._emit(corpus_warning("folders_left_out", source=source, names=names))

    def unread(self, source: str, extra: str, names: tuple[str, ...]) -> None:
        """Says which files of a folder could be read if a package were installed."""
        self._emit(files_unread(source, extra, names))

    def blank_line(self) -> None:
        """Counts a line that holds no document."""
        self._blank_lines += 1

    def finish(self) -> None:
        """Says what could only be counted."""
        if self._blank_lines:
            self._emit(corpus_warning("blank_lines", count=self._blank_lines))
            self._blank_lines = 0
