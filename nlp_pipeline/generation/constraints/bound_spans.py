"""`DocumentSpans` at work for one sample: which tokens may follow those so far."""

from __future__ import annotations

from collections.abc import Sequence

from nlp_pipeline.generation.constraints.walk import Walk


class BoundSpans:
    """A `BoundConstraint` over the ways through a document.

    The state is the set of places where the text so far ends. It is kept for every output that
    was asked about, so that each of several beams advances by one token from its parent's.

    Args:
        walk: The ways.
    """

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._places: dict[tuple[int, ...], tuple[int, ...]] = {}
        self.stop_token_ids = frozenset(walk.stops)

    def allowed(self, output_ids: Sequence[int]) -> list[int]:
        """See `BoundConstraint.allowed`. After what is not allowed only a stop is."""
        if not output_ids:
            return list(self._walk.first)
        places = self._places_after(tuple(output_ids))
        edges, ends = self._walk.edges, self._walk.ends
        tokens = list(dict.fromkeys(t for place in places for t in edges.get(place, ())))
        if not tokens or any(place in ends for place in places):
            tokens += self._walk.stops
        return tokens

    def keep(self, output_ids: Sequence[int]) -> int:
        """How many of these tokens, none of them a stop, lead to the last place to end at."""
        ends = self._walk.ends
        for length in range(len(output_ids), 0, -1):
            if any(place in ends for place in self._places_after(tuple(output_ids[:length]))):
                return length
        return 0

    def _places_after(self, output_ids: tuple[int, ...]) -> tuple[int, ...]:
        places = self._places.get(output_ids)
        if places is None:
            token = output_ids[-1]
            if len(output_ids) == 1:
                places = tuple(self._walk.first.get(token, ()))
            else:
                edges = self._walk.edges
                parents = self._places_after(output_ids[:-1])
                steps = (edges.get(place, _NOWHERE).get(token) for place in parents)
                places = tuple(dict.fromkeys(place for place in steps if place is not None))
            self._places[output_ids] = places
        return places


_NOWHERE: dict[int, int] = {}
