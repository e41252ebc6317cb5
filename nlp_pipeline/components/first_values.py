"""The values of a spaCy span categorizer, where it is sure enough to spare the Llama."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from nlp_pipeline.components.first_pipeline import FirstPipeline
from nlp_pipeline.errors.cascade import FirstCannotFill, FirstLabelsDiffer

_HALF = 0.5


class ScoredPiece(NamedTuple):
    """A piece of a text and how likely it is a value of a label.

    Attributes:
        score: From 0 to 1.
        start: First character.
        end: One past the last.
        text: The piece.
    """

    score: float
    start: int
    end: int
    text: str


class FirstSpans:
    """A span categorizer that is asked before the Llama.

    Args:
        setting: What messages call it.
        path: Of its pipeline.

    Raises:
        ConfigError: It cannot be loaded or has no `spancat`.
    """

    def __init__(self, setting: str, path: str) -> None:
        self.first = FirstPipeline(
            setting,
            path,
            factories=("spancat",),
            why="An `ner` gives no probabilities, so it cannot say when it is sure.",
        )
        self.path = path

    def pieces(self, text: str) -> dict[str, list[ScoredPiece]]:
        """By label every piece that is looked at, likeliest first."""
        nlp = self.first.nlp
        ranked: dict[str, list[ScoredPiece]] = defaultdict(list)
        # The words of a million documents would stay in its vocabulary.
        with nlp.memory_zone():
            doc = nlp(text)
            # Not `doc.spans`: of a label that has none there, the scores say how sure that is.
            indices, scores = self.first.pipe.predict([doc])
            for (start, end), row in zip(indices[0].dataXd.tolist(), scores.tolist(), strict=False):
                span = doc[start:end]
                for label, score in zip(self.first.pipe.labels, row, strict=True):
                    piece = ScoredPiece(score, span.start_char, span.end_char, text=span.text)
                    ranked[label].append(piece)
        return {
            label: sorted(pieces, key=lambda piece: -piece.score)
            for label, pieces in ranked.items()
        }


class FirstValues:
    """A span categorizer that fills in a form of texts before the Llama is asked.

    Every property of the form is a label. The piece of the text with the highest score of a
    label is its value, if that is 0.5 at least; of a list all pieces are that do not overlap.

    Args:
        setting: What messages call it.
        path: Of its pipeline.
        schema: Of the form.

    Raises:
        ConfigError: It cannot be loaded, has no `spancat`, was trained for other labels, or the
            form has values that are no texts.
    """

    def __init__(self, setting: str, path: str, schema: Mapping[str, Any]) -> None:
        self._lists = {name: _is_list(value) for name, value in schema["properties"].items()}
        unfit_names = [name for name, is_list in self._lists.items() if is_list is None]
        if unfit_names:
            raise FirstCannotFill(setting, unfit_names)
        self._spans = FirstSpans(setting, path)
        self._spans.first.check_labels(self._lists)
        self.path = path

    def extraction(self, text: str) -> tuple[dict[str, Any], float]:
        """The form filled in, and how sure it is of the value that it is least sure of."""
        pieces = self._spans.pieces(text)
        value: dict[str, Any] = {}
        certainty = 1.0
        for label, is_list in self._lists.items():
            likely = _separate_pieces(pieces.get(label, ()))
            texts = [piece.text for piece in likely]
            value[label] = texts if is_list else texts[0] if texts else None
            certainty = min(certainty, _certainty(pieces.get(label, ())))
            if is_list and likely:
                certainty = min(certainty, likely[-1].score)
        return value, certainty


class FirstAnswers:
    """A span categorizer that answers some questions before the Llama is asked.

    The question's id is a label. The piece with the highest score of it is the answer, if that is
    0.5 at least; else there is none.

    Args:
        setting: What messages call it.
        path: Of its pipeline.
        question_ids: Of the component's own questions, one of which at least it must know.

    Raises:
        ConfigError: It cannot be loaded, has no `spancat`, or knows none of the questions.
    """

    def __init__(self, setting: str, path: str, question_ids: Collection[str]) -> None:
        self._spans = FirstSpans(setting, path)
        labels = list(self._spans.first.pipe.labels)
        self._labels = [label for label in labels if label in question_ids]
        if not self._labels:
            raise FirstLabelsDiffer(setting, path, missing=question_ids, further=labels)
        self.path = path

    def sure_answers(self, text: str, threshold: float) -> dict[str, ScoredPiece | None]:
        """By question id the answers that it is so sure of; None where it is sure of none."""
        pieces = self._spans.pieces(text)
        return {
            label: next(iter(_separate_pieces(ranked[:1])), None)
            for label in self._labels
            if _certainty(ranked := pieces.get(label, [])) >= threshold
        }


def _certainty(ranked: Sequence[ScoredPiece]) -> float:
    """How sure it is of the likeliest piece, or that there is none."""
    best = ranked[0].score if ranked else 0.0
    return max(best, 1 - best)


def _separate_pieces(ranked: Sequence[ScoredPiece]) -> list[ScoredPiece]:
    """The likely pieces without those that overlap with a likelier one."""
    pieces: list[ScoredPiece] = []
    for piece in ranked:
        if piece.score < _HALF:
            break
        if all(piece.end <= likelier.start or piece.start >= likelier.end for likelier in pieces):
            pieces.append(piece)
    return pieces


def _is_list(value: Mapping[str, Any]) -> bool | None:
    """Whether a property holds a list of texts; None where it holds no texts at all."""
    if "enum" in value or "const" in value:
        return None
    for choice in value.get("anyOf", ()):
        if choice.get("type") != "null":
            return _is_list(choice)
    type_ = value.get("type")
    types = set(type_ if isinstance(type_, list) else [type_]) - {"null"}
    if types == {"string"}:
        return False
    if types == {"array"} and _is_list(value.get("items") or {}) is False:
        return True
    return None
