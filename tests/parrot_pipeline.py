"""A pipeline without weights: an annotator of the test, then answers that end the document."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc

CONFIG = """\
[nlp]
lang = "en"
pipeline = ["sentencizer", "ANNOTATOR", "llama_qa"]

[components]

[components.sentencizer]
factory = "sentencizer"

[components.ANNOTATOR]
factory = "ANNOTATOR"

[components.llama_qa]
factory = "llama_qa"
questions = [{"id": "who", "text": "QUESTION"}, {"id": "fails", "text": "UNSPEAKABLE"}]
template = "TEMPLATE"
max_new_tokens = 2

[components.llama_qa.generator]
@llama_generators = "nlp_pipeline.echo.v1"
fail_on = "UNSPEAKABLE"
"""
TEMPLATE = "{% block user %}{{ question }} {{ text }}{% endblock %}"


def parrot_pipeline(
    folder: Path, annotator: Callable[[Doc], Doc], question: str = "Who is it?"
) -> str:
    """Writes its config, named after the annotator, and gives its path.

    The answer to `who` is the document's last words; the question `fails` is an error.

    Args:
        folder: Where.
        annotator: Becomes a component of its own name.
        question: The text of `who`, as it stands in a string of JSON.
    """
    name = annotator.__name__
    Language.component(name, func=annotator)
    template, config = folder / "last.jinja", folder / f"{name}.cfg"
    template.write_text(TEMPLATE, encoding="utf-8")
    text = CONFIG.replace("ANNOTATOR", name).replace("QUESTION", question)
    config.write_text(text.replace("TEMPLATE", str(template)), encoding="utf-8")
    return str(config)
