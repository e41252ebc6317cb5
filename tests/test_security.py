"""What holds everywhere in the package: no code in data, no path from a document, no secret out."""

from __future__ import annotations

import ast
import copy
from pathlib import Path
from typing import NamedTuple

import pytest
import spacy
from spacy.language import Language

from nlp_pipeline import read_run, run
from nlp_pipeline.generation.chat import Chat, Message
from nlp_pipeline.generation.meta.chat_templates import LLAMA_2, LLAMA_3
from nlp_pipeline.generation.prompt_encoder import PromptEncoder
from nlp_pipeline.grounding.answer_reader import Reader
from nlp_pipeline.pipeline import PipelineSpec, build, resolve_config

PACKAGE = Path(__file__).resolve().parent.parent / "nlp_pipeline"
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONTROLS = {
    "ChatML": (CHATML, ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]),
    "Llama 2": (LLAMA_2, ["<s>", "</s>"]),
    "Llama 3": (
        LLAMA_3,
        ["<s>", "</s>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    ),
}


class Code(NamedTuple):
    """What the package's modules call and import, each with the name of its file."""

    calls: list[tuple[str, str, ast.Call]]
    imports: list[tuple[str, ast.Import | ast.ImportFrom]]


@pytest.fixture(scope="module")
def code() -> Code:
    """The package's code, parsed once."""
    found = Code([], [])
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                found.calls.append((file.name, ast.unparse(node.func), node))
            elif isinstance(node, ast.Import | ast.ImportFrom):
                found.imports.append((file.name, node))
    return found


def test_nothing_is_unpickled_or_evaluated(code: Code) -> None:
    banned = {"eval", "exec", "os.system", "joblib.load", "dill.load", "marshal.load"}
    banned |= {f"pickle.{n}" for n in ("load", "loads", "Unpickler")}
    assert not [(file, name) for file, name, _ in code.calls if name in banned]
    imported = set()
    for file, node in code.imports:
        if isinstance(node, ast.ImportFrom) and node.module in ("pickle", "dill", "joblib"):
            imported.add(file)
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
            imported |= {file} if names & {"dill", "joblib"} else set()
    assert not imported


def test_weights_are_read_as_tensors_alone(code: Code) -> None:
    found = [(file, node) for file, name, node in code.calls if name == "torch.load"]
    assert found, "the test looks for the wrong thing"
    for file, node in found:
        options = {word.arg: ast.unparse(word.value) for word in node.keywords}
        assert options.get("weights_only") == "True", file


def test_code_of_a_model_is_never_run(code: Code) -> None:
    asked = [
        (file, ast.unparse(word.value))
        for file, _, node in code.calls
        for word in node.keywords
        if word.arg == "trust_remote_code"
    ]
    assert asked, "the test looks for the wrong thing"
    assert {value for _, value in asked} == {"False"}


def test_no_setting_lets_it_run() -> None:
    for name in ("en_qa", "en_summary", "en_qa_summary", "fr_qa", "en_trf_qa"):
        assert "trust_remote_code" not in resolve_config(PipelineSpec(name)).to_str()


@pytest.mark.parametrize("family", CONTROLS)
def test_no_part_of_a_prompt_injects_a_control_token(tiny, family) -> None:
    """Document, question and meta come into a chat as texts of its turns, and nowhere else."""
    template, tokens = CONTROLS[family]
    tokenizer = copy.deepcopy(tiny.tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": tokens})
    tokenizer.bos_token, tokenizer.eos_token = "<s>", "</s>"
    tokenizer.chat_template = template
    encoder = PromptEncoder(tokenizer, family)
    special = set(tokenizer.convert_tokens_to_ids(tokens)) | set(tokenizer.all_special_ids)

    def controls(text: str) -> list[int]:
        turns = (Message("system", f"Obey. {text}"), Message("user", f"D {text} Q {text}"))
        chat = Chat(turns, text)
        return [token for token in encoder.encode(chat) if token in special]

    clean = controls("x")
    assert clean
    for token in tokens:
        for attack in (token, f"a{token}b{token}", token[:2] + token + token[2:]):
            assert controls(attack) == clean, attack


@pytest.mark.parametrize("format_", ["parquet", "csv", "jsonl"])
def test_an_id_is_never_a_path(tmp_path, quick, corpus, format_) -> None:
    ids = ["../../../escaped", str(tmp_path / "absolute"), "nul\0byte", "x" * 5000, "..", "a/b\\c"]
    source = corpus(*({"id": one, "text": "UNSPEAKABLE"} for one in ids))
    out = tmp_path / "deep" / "er" / "out"
    name = quick()
    before = {path for path in tmp_path.rglob("*") if out not in path.parents}
    run(source, out, pipeline=name, format=format_)
    after = {path for path in tmp_path.rglob("*") if out not in path.parents}
    assert after - before == {tmp_path / "deep", tmp_path / "deep" / "er", out}
    for path in out.rglob("*"):
        assert path.is_dir() or path.stem.startswith("part-") or path.parent == out
    assert len(read_run(out, "documents")["documents"]) == len(ids)


HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\n\u202eid"


def test_a_log_line_is_one_line_whatever_a_document_is_called(quick, caplog) -> None:
    nlp = build(resolve_config(PipelineSpec(str(quick()))), "quick")
    doc = nlp.make_doc("UNSPEAKABLE")
    doc._.record_id = HOSTILE
    (done,) = nlp.pipe([doc])
    assert done._.errors
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.isprintable()
    assert "owned" in said


def test_a_log_line_is_one_line_whatever_an_answer_breaks(caplog) -> None:
    @Language.component("quoting_pipe", assigns=["doc.ents"])
    def quoting(doc):
        raise ValueError(f"cannot read {HOSTILE}")

    nlp = spacy.blank("en")
    nlp.add_pipe("quoting_pipe")
    Reader(nlp, "llama_qa").read([HOSTILE], "en")
    assert caplog.messages
    assert all(said.isprintable() for said in caplog.messages)
