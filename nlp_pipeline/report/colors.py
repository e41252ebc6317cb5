"""displaCy's colours of entity labels, for the page and for notebooks."""

from __future__ import annotations


def entity_colors() -> dict[str, str]:
    """Label to colour; a label that displaCy does not know has none."""
    from spacy.displacy.render import DEFAULT_LABEL_COLORS

    return dict(DEFAULT_LABEL_COLORS)
