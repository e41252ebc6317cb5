"""Sphinx: `make docs` builds this folder into build/docs, offline, warnings as errors."""

from nlp_pipeline import __version__

project = "nlp-pipeline"
author = "the authors of nlp-pipeline"
release = __version__
extensions = ["myst_parser"]
# A part of a generated page, and what is no page.
exclude_patterns = ["_*.md"]
# Anchors of headings as GitHub makes them, so that links work in both places; wrong ones warn.
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"nlp-pipeline {release}"
html_copy_source = False
pygments_style = "friendly"
# Jinja in prose has names that no lexer knows.
suppress_warnings = ["misc.highlighting_failure"]
