"""What the generated pages say that no docstring says in this form; tests hold it to the code."""

ROWS = {
    "documents": "input record, whatever became of it",
    "sentences": "sentence",
    "tokens": "token",
    "entities": "named entity",
    "spans": "span of `doc.spans`",
    "categories": "label of `doc.cats`",
    "answers": "document and question",
    "answer_candidates": "piece of a document that may be the answer to a question",
    "answer_entities": "name, number or date of an answer or a summary",
    "summaries": "document and summarizer",
    "summary_sentences": "sentence of a summary",
    "extractions": "document and extractor",
    "extraction_fields": "value of an extraction",
    "classifications": "document and classifier",
    "generations": "document and `llama_prompt`",
    "chunks": "piece of a document that is too long for its prompts",
    "layout": "page, heading, paragraph or table of a converted document",
    "errors": "failure",
    "reviews": (
        "answer, label, entity or value and reviewer ([Reviews](review.md)); no run writes it, and "
        "`read_run` gives it where it is named"
    ),
}
"""What a row of each table stands for."""

COMPONENTS = {
    "llama_qa": "Answers questions about each document; each answer is looked up in the text.",
    "llama_summarizer": "Summarizes each document; each sentence is looked up in the text.",
    "llama_classifier": (
        "Gives each document label probabilities, computed from each label's log-probability as "
        "the beginning of the answer. It samples nothing."
    ),
    "llama_extractor": (
        "Fills in a form: what is decoded can only be an object of the JSON schema. Needs "
        "`pip install -e '.[structured]'`."
    ),
    "llama_prompt": (
        "Writes the completion of any prompt into any attribute; [Your own component and "
        "prompt](own.md) has an example."
    ),
    "generators": (
        "The block `generator` of a component names what completes its prompts. Blocks with the "
        "same settings share one loaded model."
    ),
}
"""A sentence or two about each component."""

_CHUNKS = {
    "chunk_tokens": (
        "Split documents of more model tokens than this; null: only those that do not fit "
        "([Long documents](evaluation.md#long-documents))."
    ),
    "chunk_overlap": "So many sentences stand again at the beginning of the next chunk.",
}

_THRESHOLD = (
    "How sure `first` has to be, from 0 to 1; null: 0.9. `nlp-pipeline evaluate --first` proposes "
    "one for a wanted accuracy."
)

SETTINGS = {
    "shared": {"generator": "What completes the prompts: [Generators](#generators)."},
    "llama_qa": {
        "questions": (
            "Asked of every document; texts, or objects with `id` and `text`. A document's own, "
            "in `doc._.questions`, come after them."
        ),
        "fallback_questions": (
            "Whether `questions` are only for documents that bring none of their own."
        ),
        "mode": (
            "`free`, or `extractive`: an answer can only be a piece of the document. `auto`: "
            "`extractive` where the generator obeys constraints, `free` for a server, which may "
            "obey them too ([Servers](servers.md))."
        ),
        "template": (
            "A template's name, or a path that ends in `.jinja`; it is given `text`, `question` "
            "and `no_answer`. Null: what suits the mode."
        ),
        "no_answer": "The reply that means that the document holds no answer.",
        "no_answer_threshold": (
            "An answer whose log-probability is lower counts as none; `nlp-pipeline evaluate` "
            "finds a good value. Null sets none."
        ),
        "no_answer_margin": (
            "In the extractive mode: how readily it is believed that there is no answer."
        ),
        "no_answer_weights": (
            "In the extractive mode: what speaks for the document holding an answer; empty for "
            "the default (`nlp-pipeline evaluate --fit` learns them)."
        ),
        "answerable_threshold": (
            "In the extractive mode: below this probability that the document holds an answer, "
            "there is none."
        ),
        "confidence_weights": (
            "In the extractive mode: what speaks for the answer being right; empty for the "
            "default (`nlp-pipeline evaluate --fit` learns them)."
        ),
        "examples": (
            "Worked examples that stand in every prompt: a list, or a file "
            "([Examples](evaluation.md#examples))."
        ),
        **_CHUNKS,
        "chunks_first": "A question is asked of so many chunks first, then of as many more.",
        "evidence_sentences": (
            "A question is asked first about so many sentences, those that share most with it, and "
            "about the rest only where these hold no answer of the kind that is asked for; `all` "
            "asks about the whole document at once. Null: 1 in the extractive mode, else `all`."
        ),
        "candidate_weights": (
            "In the extractive mode: what each feature of a candidate counts "
            "(`components/answer_features.py` lists them); those not named keep their default."
        ),
        "keep_candidates": (
            "In the extractive mode: the table `answer_candidates` gets every candidate with its "
            "features, from which `nlp-pipeline evaluate --fit` learns `candidate_weights`."
        ),
        "num_beams": (
            "Width of the beam search; null: 1, or 3 in the extractive mode (1 for a model that "
            "only plain batches can run)."
        ),
        "length_penalty": "Beams compare their sums over length to this power.",
        "first": (
            "Folder or package of a spaCy pipeline with a `spancat` whose labels are ids of "
            "`questions`: where it is sure of the answer, or that there is none, the Llama is not "
            "asked this question ([Distilling](distil.md#cascade)). A document's own questions are "
            "the Llama's."
        ),
        "first_threshold": _THRESHOLD,
    },
    "llama_summarizer": {
        "mode": (
            "`free` (null), or `extractive`: the summary is whole sentences of the document "
            "([Summaries](summaries.md))."
        ),
        "template": (
            "A template's name, or a path that ends in `.jinja`; it is given `text` and "
            "`max_sentences`."
        ),
        "max_sentences": (
            "What the model is asked for, and the most that are kept of what it writes, or how "
            "many are chosen; at least 1."
        ),
        "max_new_tokens": (
            "At most so many tokens are generated; at least 1. Null: 64 for each of the "
            "`max_sentences`. What they break off is left out (`summaries.cut`)."
        ),
        "on_unsupported": (
            "What is done about a sentence with a name or a number that the document lacks: "
            "`mark` it in the tables (null), `drop` it, or `retry`: write the summary anew, twice "
            "at most, and take the one that has the fewest."
        ),
        "examples": (
            "Worked examples that stand in every prompt: a list, or a file "
            "([Examples](evaluation.md#examples))."
        ),
        **_CHUNKS,
    },
    "llama_classifier": {
        "labels": (
            "Texts, or an object of label: description; at least two, or with `multi_label` at "
            "least one."
        ),
        "multi_label": "Whether several labels may fit, or none.",
        "threshold": (
            "From 0 to 1: what a label needs to be chosen. Null: 0.5 with `multi_label`, else 0 "
            "(always the likeliest)."
        ),
        "calibration": (
            "`content_free` corrects for what the model says of no document, `none` corrects "
            "nothing ([Labels](labels.md))."
        ),
        "template": (
            "A template's name, or a path that ends in `.jinja`; it is given `text` and `labels`, "
            "or with `multi_label` `text` and `label`. Null: what suits `multi_label`."
        ),
        "yes_no": "The two replies that a label is judged by with `multi_label`.",
        "first": (
            "Folder or package of a spaCy pipeline whose `textcat` (`textcat_multilabel` with "
            "`multi_label`) has these labels: where it is sure it answers and the Llama is not "
            "asked ([Distilling](distil.md#cascade))."
        ),
        "first_threshold": _THRESHOLD,
    },
    "llama_extractor": {
        "schema": (
            'The JSON schema of the object, or `{"@llama_schemas": NAME}` for one that is '
            "registered there, such as a pydantic model."
        ),
        "substrings": "Properties whose strings can only be pieces of the document.",
        "template": (
            "A template's name, or a path that ends in `.jinja`; it is given `text` and `fields`."
        ),
        "first": (
            "Folder or package of a spaCy pipeline whose `spancat` has the properties of the "
            "schema, which are texts or lists of texts, as its labels: where it is sure of all of "
            "them it answers and the Llama is not asked ([Distilling](distil.md#cascade))."
        ),
        "first_threshold": _THRESHOLD,
    },
    "llama_prompt": {
        "template": (
            "A path that ends in `.jinja`; it is given `text`, `doc_id`, `meta`, `entities` and "
            "`sentences`. Either this or `prompt`."
        ),
        "prompt": "The user's turn itself, given the same.",
        "attribute": "Name of the Doc extension that is written to.",
        "schema": "The completion is an object of this JSON schema; null: any text.",
    },
}
"""The meaning of each component's own settings."""
