"""Llama 1's and 2's `tokenizer.model`: a SentencePiece BPE model with byte fallback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlp_pipeline.errors.meta import MetaTokenizerUnreadable, PackageMissing
from nlp_pipeline.generation.meta.specials import add_specials, put_first

SPACE = "▁"

PROBES = (
    "The quick brown fox, 1,234.50 times; it's  done.",
    "  two spaces\n\n\tand a tab \r\n at the end  ",
    "Ünïcödé: ﬁ ① Ａ é e\u0301 ½ № … “quotes” — naïve façade",
    "Съешь ещё этих булок. 日本語のテキスト。 한국어 עברית العربية हिन्दी 🦙👩‍👩‍👧",
    "<s> </s> <unk> <0x0A> [INST] <<SYS>> ▁",
    "aaaaaaaaaaaaaaaa bbbbbbb 0000000000 ====------ \x00\x07",
)
"""Texts that both tokenizers must encode alike: they show every setting that would be ignored
here (normalisation, trimming, another algorithm)."""


def pieces_tokenizer(file: Path) -> Any:
    """The `tokenizers.Tokenizer` of a SentencePiece model.

    Raises:
        PackageMissing: sentencepiece is not installed.
        MetaTokenizerUnreadable: It is no SentencePiece model, or one that is not Llama's kind.
    """
    model = _open(file)
    names = [model.id_to_piece(i) for i in range(model.vocab_size())]
    specials = [n for i, n in enumerate(names) if model.is_control(i) or model.is_unknown(i)]
    if names[:3] != ["<unk>", "<s>", "</s>"]:
        raise MetaTokenizerUnreadable(str(file), "it does not begin with <unk>, <s>, </s>")
    backend = _byte_pairs(model, names)
    add_specials(backend, specials)
    backend.post_processor = put_first(backend, "<s>")
    _compare(file, backend, model)
    return backend


def _compare(file: Path, backend: Any, model: Any) -> None:
    """Refuses a model whose ids the tokenizer made of it would not give."""
    backend.encode_special_tokens = True  # a control's name in a text is text
    for probe in PROBES:
        if backend.encode(probe, add_special_tokens=False).ids != model.encode(probe):
            raise MetaTokenizerUnreadable(
                str(file), f"it is of another kind: it cuts {probe[:20].strip()!r}… differently"
            )
    backend.encode_special_tokens = False


def _open(file: Path) -> Any:
    try:
        import sentencepiece
    except ImportError as error:
        raise PackageMissing(
            f"The tokenizer {file}", "sentencepiece", "meta", reason=str(error)
        ) from error
    try:
        return sentencepiece.SentencePieceProcessor(model_file=str(file))
    except (RuntimeError, OSError) as error:
        raise MetaTokenizerUnreadable(str(file), "it is damaged or another format") from error


def _byte_pairs(model: Any, names: list[str]) -> Any:
    """The encoder and decoder: spaces become `▁`, unknown characters become bytes."""
    from tokenizers import Tokenizer, decoders, models, normalizers

    vocab = {name: i for i, name in enumerate(names)}
    backend = Tokenizer(
        models.BPE(
            vocab, _merges(model, names), unk_token="<unk>", fuse_unk=True, byte_fallback=True
        )
    )
    prefix = model.encode("a", out_type=str)[0].startswith(SPACE)
    steps: list[Any] = [normalizers.Prepend(SPACE)] if prefix else []
    backend.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", SPACE)])
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            *([decoders.Strip(" ", 1, 0)] if prefix else []),
        ]
    )
    return backend


def _merges(model: Any, names: list[str]) -> list[tuple[str, str]]:
    """Every pair of pieces that makes a piece, best first.

    SentencePiece joins the two neighbours that make the piece of the highest score, whichever
    they are. Only pieces of text take part: `<`, `s` and `>` never make the control `<s>`.
    """
    texts = {
        name: i
        for i, name in enumerate(names)
        if not (model.is_control(i) or model.is_unknown(i) or model.is_byte(i))
    }
    merges = []
    for name in sorted(texts, key=lambda n: (-model.get_score(texts[n]), texts[n])):
        cuts = ((name[:i], name[i:]) for i in range(1, len(name)))
        pairs = [(left, right) for left, right in cuts if left in texts and right in texts]
        merges += sorted(pairs, key=lambda pair: (texts[pair[0]], texts[pair[1]]))
    return merges
