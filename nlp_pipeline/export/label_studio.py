"""A run as tasks for Label Studio; `nlp-pipeline review` reads its export of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from nlp_pipeline.export.job import ExportJob
from nlp_pipeline.export.json_files import json_list, write_texts
from nlp_pipeline.export.tool_documents import ToolDocument, ToolLabels, tool_documents
from nlp_pipeline.reviews.review import ANSWERS, CATEGORIES, ENTITIES
from nlp_pipeline.reviews.tool_files import ORIGIN, QUESTION_NAMES


def write_label_studio(job: ExportJob) -> list[Path]:
    """`tasks.json`, to be imported, and `labeling_interface.xml`, to be set up before.

    A document is a task with one prediction. Offsets count code points, as Label Studio does.
    """
    tasks = (_task(document) for document in tool_documents(job))
    interface = _interface(job, ToolLabels.of_job(job))
    return [
        write_texts(job.target / "tasks.json", json_list(tasks)),
        write_texts(job.target / "labeling_interface.xml", [interface]),
    ]


def _task(document: ToolDocument) -> dict[str, Any]:
    result: list[dict[str, Any]] = []
    for table in (ANSWERS, ENTITIES):
        for number, piece in enumerate(document.pieces[table]):
            start, end = piece.row["start_char"], piece.row["end_char"]
            value = {"start": start, "end": end, "text": document.text[start:end]}
            item: dict[str, Any] = {"id": f"{table}-{number}", "from_name": QUESTION_NAMES[table]}
            item |= {"to_name": "text", "type": "labels"}
            item |= {"value": {**value, "labels": [piece.label]}}
            result.append(item if piece.score is None else {**item, "score": piece.score})
    if document.labels:
        item = {"id": "label", "from_name": QUESTION_NAMES[CATEGORIES], "to_name": "text"}
        item |= {"type": "choices", "value": {"choices": document.labels[:1]}}
        has_score = document.label_score is not None
        result.append({**item, "score": document.label_score} if has_score else item)
    prediction: dict[str, Any] = {"model_version": document.model, "result": result}
    scores = [item["score"] for item in result if item.get("score") is not None]
    if scores:  # Label Studio sorts tasks by it: the least sure answer speaks for its document
        prediction["score"] = min(scores)
    data = {"text": document.text, "document_id": document.id, ORIGIN: document.origin}
    return {"data": data, "predictions": [prediction]}


def _interface(job: ExportJob, labels: ToolLabels) -> str:
    """The labeling interface that the predictions are made for."""
    lines = ["<View>"]
    if ANSWERS in job.tables and labels.questions:
        options = (
            f"    <Label value={quoteattr(label)} hint={quoteattr(question)}/>"
            for label, question in labels.questions.items()
        )
        lines += ['  <Labels name="answers" toName="text">', *options, "  </Labels>"]
    if ENTITIES in job.tables and labels.entities:
        options = (f"    <Label value={quoteattr(label)}/>" for label in labels.entities)
        lines += ['  <Labels name="entities" toName="text">', *options, "  </Labels>"]
    if CATEGORIES in job.tables and labels.categories:
        options = (f"    <Choice value={quoteattr(label)}/>" for label in labels.categories)
        lines += ['  <Choices name="label" toName="text" choice="single">', *options]
        lines.append("  </Choices>")
    # Without this style the browser folds white space, and the offsets behind it are others.
    lines += ["  <Style>.htx-text { white-space: pre-wrap; }</Style>"]
    lines += ['  <Text name="text" value="$text" saveTextResult="yes"/>', "</View>", ""]
    return "\n".join(lines)
