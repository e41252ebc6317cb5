"""What the pieces of a document cost a server as a grammar: a table, then one JSON line.

    pip install xllamacpp && python benchmarks/span_grammars.py
    python benchmarks/span_grammars.py --characters 300 3000 30000 --model FILE.gguf

For texts of several lengths: the size of the grammar, the CPU seconds that writing it takes, and
those that llama.cpp takes, in this process, for a short answer under it, beside one without a
grammar (the prompt is the same short one, so that reading it does not count). Where xgrammar is
installed, which vLLM and SGLang use by default, also what compiling the grammar takes. Then the
same for the JSON schema of a form with one text that has to stand in the document.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import spacy

from nlp_pipeline.chunking import Passage
from nlp_pipeline.components.extractive import Extractive
from nlp_pipeline.generation.backends.llama_cpp import LlamaCppGenerator, LlamaCppSettings
from nlp_pipeline.generation.backends.llama_cpp.packed_server import gguf_path
from nlp_pipeline.generation.backends.server import ServerGenerator
from nlp_pipeline.generation.backends.server.schema_probe import response_format
from nlp_pipeline.generation.constraints.piece_pattern import schema_with_pieces
from nlp_pipeline.generation.constraints.span_grammar import span_grammar
from nlp_pipeline.generation.constraints.spans import DocumentSpans
from nlp_pipeline.generation.loading.gguf import converted_folder
from nlp_pipeline.generation.loading.tokenizers import named_tokenizer
from nlp_pipeline.models import DEFAULT_MODEL, cache_dir, digest

ROOT = Path(__file__).resolve().parent.parent


def text_of(characters: int) -> str:
    """So many characters of corpora/varied.jsonl, which comes again where it is too short."""
    lines = (ROOT / "corpora" / "varied.jsonl").read_text("utf-8").splitlines()
    text = " ".join(str(json.loads(line)["text"]) for line in lines)
    return (f"{text} " * (characters // len(text) + 1))[:characters]


def pieces_of(text: str) -> DocumentSpans:
    doc = spacy.blank("en")(text)
    return Extractive("benchmark", "none").pieces(doc, Passage.whole(doc))


def form_of(text: str) -> Mapping[str, Any]:
    """The schema of a form whose only text is a piece of a text."""
    form = {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]}
    doc = spacy.blank("en")(text)
    pieces = [piece for token in doc for piece in (token.text, token.whitespace_)]
    schema = schema_with_pieces(form, {"who"}, pieces)
    assert schema is not None
    return schema


def seconds(work: Callable[[], Any], repeats: int) -> float:
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def tokenizer_of(model: str) -> Any:
    """That of a GGUF file, from what the in-process Llama has made of it."""
    path = gguf_path(model)
    return named_tokenizer(str(converted_folder(path, digest(path), cache_dir())))


def llama_cpp_seconds(
    generator: LlamaCppGenerator, fields: Mapping[str, Any], repeats: int
) -> float:
    """Of an answer of at most 8 tokens, without reading its prompt."""
    connection = ServerGenerator(generator.packed.connection_settings).connection
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": "Say something."}],
        "max_tokens": 8,
        "temperature": 0.0,
        "logprobs": True,
        "top_logprobs": 1,
        **fields,
    }

    def ask() -> None:
        answer = connection.loop.run(connection._ask("/chat/completions", body))
        assert isinstance(answer, dict), answer

    ask()
    return seconds(ask, repeats)


def xgrammar_seconds(tokenizer: Any, method: str, source: str) -> float | None:
    """Of compiling by a method of its compiler, once; None where it is not installed."""
    try:
        import xgrammar
    except ImportError:
        return None
    info = xgrammar.TokenizerInfo.from_huggingface(tokenizer)
    compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
    return seconds(lambda: getattr(compiler, method)(source), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default=DEFAULT_MODEL, help="a GGUF file or a known model")
    parser.add_argument("--characters", type=int, nargs="+", default=[300, 3000, 30000])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    settings = LlamaCppSettings(options.model, max_seq_len=512, max_batch_size=1, threads=1)
    generator, tokenizer = LlamaCppGenerator(settings), tokenizer_of(options.model)
    plain = llama_cpp_seconds(generator, {}, options.repeats)
    rows: list[dict[str, Any]] = [{"kind": "none", "characters": 0, "llama_cpp_s": plain}]
    for characters in options.characters:
        pieces = pieces_of(text_of(characters))
        grammar = span_grammar(pieces)
        rows.append(
            {
                "kind": "answer",
                "characters": characters,
                "rules": grammar.count("::="),
                "bytes": len(grammar.encode()),
                "write_s": seconds(partial(span_grammar, pieces), options.repeats),
                "llama_cpp_s": llama_cpp_seconds(generator, {"grammar": grammar}, options.repeats),
                "xgrammar_s": xgrammar_seconds(tokenizer, "compile_grammar", grammar),
            }
        )
    for characters in options.characters:
        text = text_of(characters)
        schema = json.dumps(form_of(text))
        fields = response_format(form_of(text))
        rows.append(
            {
                "kind": "form",
                "characters": characters,
                "bytes": len(schema.encode()),
                "write_s": seconds(partial(form_of, text), options.repeats),
                "llama_cpp_s": llama_cpp_seconds(generator, fields, options.repeats),
                "xgrammar_s": xgrammar_seconds(tokenizer, "compile_json_schema", schema),
            }
        )
    generator.close()
    print("kind    characters   rules   bytes   write s   llama.cpp s   xgrammar s")
    for row in rows:
        print(
            f"{row['kind']:<8}{row['characters']:>10}{row.get('rules', 0):>8}"
            f"{row.get('bytes', 0):>8}{row.get('write_s', 0):>10.4f}{row['llama_cpp_s']:>14.3f}"
            f"{row.get('xgrammar_s') or float('nan'):>13.2f}"
        )
    print(json.dumps({"benchmark": "span_grammars", "model": options.model, "rows": rows}))


if __name__ == "__main__":
    main()
