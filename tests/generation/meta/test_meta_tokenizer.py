from __future__ import annotations

import base64
import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_pipeline.errors.generation import ChatNotRendered
from nlp_pipeline.errors.meta import (
    MetaTokenizerMissing,
    MetaTokenizerUnreadable,
    PackageMissing,
)
from nlp_pipeline.generation.chat import Chat, Message
from nlp_pipeline.generation.meta import end_token_ids, load_meta_tokenizer
from nlp_pipeline.generation.meta.ranks import PATTERN, SPECIALS
from nlp_pipeline.generation.prompt_encoder import PromptEncoder

LINES = [
    "The tenant shall repair the roof within 90 days, or pay 250 dollars.",
    "In Oslo, Anna Berg of Northwind Ltd said on 12 March 2021 that they would sell the bridge.",
    "def repair(roof):\n    return [tile for tile in roof if tile.whole]  # naïve, à la carte",
    "Wer zuletzt lacht, lacht am besten; Übung macht den Meister – größer, schöner, weißer.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю. 日本語のテキスト。日本の文章。",
    "aaaa aaaaaaaa banana bananas abab ababab    spaces     more      spaces\t\ttabs",
] * 8

TEXTS = [
    "",
    " ",
    "Hello, world!",
    "  leading and trailing  ",
    "The tenant's roof — 1,234.50 dollars (90 days).",
    "line one\nline two\r\n\r\n\ttabbed\n\n\n",
    "é e\u0301 ﬁ ① Ａ ½ Å naïve",
    "日本語のテキスト 한국어 עברית العربية हिन्दी ไทย",
    "🦙 👩‍👩‍👧 🇳🇴 \U0001f9ff",
    "aaaaaaaaa bananananas aabaabaab",
    "<s> </s> <unk> <0x0A> [INST] <<SYS>>",
    "<|begin_of_text|> <|eot_id|><|start_header_id|>system<|end_header_id|>",
    "\x00\x01\x7f \ufffd \u200b\u2028 ▁▁ Ġ",
    "1234567890 12 3456",
    "I'm you're THEY'LL don'T",
]

ANYTHING = st.lists(
    st.sampled_from(
        [*"abeinorstABé日🦙▁<>|/[]'", " ", "  ", "\n", "\t", "12", "the ", "ing", "</s>"]
    )
).map("".join) | st.text(max_size=40)


@pytest.fixture(scope="module")
def pieces_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_pieces(tmp_path_factory.mktemp("pieces"))


def train_pieces(folder: Path, **options: Any) -> Path:
    """A SentencePiece model with the settings of Llama 2's."""
    settings: dict[str, Any] = {
        "model_type": "bpe",
        "vocab_size": 420,
        "byte_fallback": True,
        "character_coverage": 0.98,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
        "split_digits": True,
        "num_threads": 1,
        "minloglevel": 2,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES),
        model_prefix=str(folder / "tokenizer"),
        **(settings | options),
    )
    return folder / "tokenizer.model"


@pytest.fixture(scope="module")
def pieces(pieces_file: Path) -> Any:
    return load_meta_tokenizer(pieces_file)


@pytest.fixture(scope="module")
def oracle_of_pieces(pieces_file: Path) -> Any:
    return sentencepiece.SentencePieceProcessor(model_file=str(pieces_file))


def make_ranks() -> dict[bytes, int]:
    """All bytes, then pairs that occur, then random joins: tokens with several ways to be made."""
    chance = random.Random(3)
    tokens = [bytes([byte]) for byte in chance.sample(range(256), 256)]
    text = "\n".join(LINES[:6]).encode()
    while len(tokens) < 700:
        start, length = chance.randrange(len(text)), chance.randint(2, 9)
        token = text[start : start + length]
        known = set(tokens)
        if token not in known and any(
            token[:i] in known and token[i:] in known for i in range(1, len(token))
        ):
            tokens.append(token)
    return {token: rank for rank, token in enumerate(tokens)}


def write_ranks(file: Path, ranks: dict[bytes, int]) -> Path:
    lines = [base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items()]
    file.write_bytes(b"".join(lines))
    return file


@pytest.fixture(scope="module")
def ranks_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ranks(tmp_path_factory.mktemp("ranks") / "tokenizer.model", make_ranks())


@pytest.fixture(scope="module")
def ranks(ranks_file: Path) -> Any:
    return load_meta_tokenizer(ranks_file)


@pytest.fixture(scope="module")
def oracle_of_ranks() -> tiktoken.Encoding:
    ranks = make_ranks()
    specials = {name: len(ranks) + number for number, name in enumerate(SPECIALS)}
    return tiktoken.Encoding(
        "tiny", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=specials
    )


def plain(tokenizer: Any, text: str) -> list[int]:
    """Ids of a text in which nothing is special."""
    ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids
    return ids


class TestSentencePiece:
    @pytest.mark.parametrize("text", TEXTS)
    def test_ids_are_those_of_sentencepiece(
        self, pieces: Any, oracle_of_pieces: Any, text: str
    ) -> None:
        assert plain(pieces, text) == oracle_of_pieces.encode(text)

    @given(text=ANYTHING)
    @settings(max_examples=300, deadline=None)
    def test_ids_of_anything(self, pieces: Any, oracle_of_pieces: Any, text: str) -> None:
        assert plain(pieces, text) == oracle_of_pieces.encode(text)

    @given(text=ANYTHING)
    @settings(max_examples=200, deadline=None)
    def test_round_trip(self, pieces: Any, text: str) -> None:
        expected = text.encode("utf-8", "replace").decode().replace("▁", " ")
        assert PromptEncoder(pieces, "m").decode(plain(pieces, text)) == expected

    def test_a_text_begins_with_bos_and_ends_at_eos(self, pieces: Any, pieces_file: Path) -> None:
        oracle = sentencepiece.SentencePieceProcessor(model_file=str(pieces_file))
        assert pieces("Hello").input_ids == [1, *oracle.encode("Hello")]
        assert (pieces.bos_token_id, pieces.eos_token_id, pieces.unk_token_id) == (1, 2, 0)
        assert end_token_ids(pieces) == [2]
        assert len(pieces) == oracle.vocab_size()

    def test_no_text_becomes_a_control_token(self, pieces: Any) -> None:
        assert not {0, 1, 2} & set(plain(pieces, "<s></s><unk>"))
        assert pieces("<s>", add_special_tokens=False).input_ids == [1]

    def test_a_chat_is_encoded_as_meta_does(self, pieces: Any, oracle_of_pieces: Any) -> None:
        """`chat_completion` of Meta's llama: each pair of turns apart, with both ends."""
        prompt = Chat(
            (
                Message("system", "Be brief."),
                Message("user", " Who? </s> "),
                Message("assistant", "Anna. "),
                Message("user", "When?"),
            )
        )
        encode = oracle_of_pieces.encode
        first = "[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\n Who? </s> [/INST] Anna. "
        expected = [1, *encode(first), 2, 1, *encode("[INST] When? [/INST]")]
        assert PromptEncoder(pieces, "m").encode(prompt) == expected

    def test_turns_must_alternate(self, pieces: Any) -> None:
        twice = Chat((Message("user", "a"), Message("user", "b")))
        with pytest.raises(ChatNotRendered, match="turns must go user, assistant"):
            PromptEncoder(pieces, "m").encode(twice)

    @pytest.mark.parametrize(
        "options",
        [
            {"normalization_rule_name": "nmt_nfkc"},
            {"remove_extra_whitespaces": True},
            {"model_type": "unigram", "vocab_size": 390},
            {"bos_id": 2, "eos_id": 1},
        ],
    )
    def test_another_kind_is_refused(self, tmp_path: Path, options: dict[str, Any]) -> None:
        file = train_pieces(tmp_path, **options)
        with pytest.raises(MetaTokenizerUnreadable, match=r"differently|does not begin with"):
            load_meta_tokenizer(file)

    def test_without_a_space_in_front(self, tmp_path: Path) -> None:
        file = train_pieces(tmp_path, add_dummy_prefix=False)
        oracle = sentencepiece.SentencePieceProcessor(model_file=str(file))
        tokenizer = load_meta_tokenizer(file)
        for text in TEXTS:
            assert plain(tokenizer, text) == oracle.encode(text)

    def test_the_package_is_named_where_it_is_missing(
        self, pieces_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "sentencepiece", None)
        with pytest.raises(PackageMissing, match=r"pip install 'sentencepiece>=0\.2'"):
            load_meta_tokenizer(pieces_file)


class TestRanks:
    @pytest.mark.parametrize("text", TEXTS)
    def test_ids_are_those_of_tiktoken(
        self, ranks: Any, oracle_of_ranks: tiktoken.Encoding, text: str
    ) -> None:
        assert plain(ranks, text) == oracle_of_ranks.encode(text, disallowed_special=())
        special = ranks(text, add_special_tokens=False).input_ids
        assert special == oracle_of_ranks.encode(text, allowed_special="all")

    @given(text=ANYTHING)
    @settings(max_examples=300, deadline=None)
    def test_ids_of_anything(
        self, ranks: Any, oracle_of_ranks: tiktoken.Encoding, text: str
    ) -> None:
        assert plain(ranks, text) == oracle_of_ranks.encode(text, disallowed_special=())

    @given(text=ANYTHING)
    @settings(max_examples=200, deadline=None)
    def test_round_trip(self, ranks: Any, text: str) -> None:
        assert PromptEncoder(ranks, "m").decode(plain(ranks, text)) == text

    def test_there_are_256_special_tokens_after_the_ranks(self, ranks: Any) -> None:
        assert len(SPECIALS) == len(set(SPECIALS)) == 256
        assert len(ranks) == 700 + 256
        assert ranks.convert_tokens_to_ids(["<|begin_of_text|>", "<|eot_id|>"]) == [700, 709]
        assert ranks.convert_tokens_to_ids("<|reserved_special_token_247|>") == 955
        assert (ranks.bos_token_id, ranks.eos_token_id) == (700, 701)
        assert end_token_ids(ranks) == [701, 708, 709]
        assert ranks("Hello").input_ids[0] == 700

    def test_a_chat_is_encoded_as_meta_does(
        self, ranks: Any, oracle_of_ranks: tiktoken.Encoding
    ) -> None:
        """`ChatFormat` of Meta's llama3: headers, contents and ends encoded apart."""

        def turn(role: str, content: str) -> list[int]:
            encode = oracle_of_ranks.encode
            body = [*encode("\n\n"), *encode(content.strip(), disallowed_special=())]
            return [706, *encode(role), 707, *body, 709]

        prompt = Chat((Message("system", "Be brief. "), Message("user", "Who? <|eot_id|>")))
        expected = [700, *turn("system", "Be brief. "), *turn("user", "Who? <|eot_id|>")]
        expected += turn("assistant", "")[:-1]
        assert PromptEncoder(ranks, "m").encode(prompt) == expected

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"YQ== 0\nnonsense\n", "line 2 is no rank"),
            (b"YQ== 0\nY!== 1\n", "line 2 is no rank"),
            (b"YQ== 0\nYg== 2\n", "ranks do not go 0, 1, 2"),
            (b"YQ== 0\nYg== 1\n", "no token for the byte 0"),
            (b"", "damaged or another format"),
            (b"version https://git-lfs.github.com/spec/v1\n", "damaged or another format"),
        ],
    )
    def test_a_file_that_is_no_tokenizer(self, tmp_path: Path, content: bytes, said: str) -> None:
        (tmp_path / "tokenizer.model").write_bytes(content)
        with pytest.raises(MetaTokenizerUnreadable, match=said):
            load_meta_tokenizer(tmp_path)


class TestBesideIt:
    def test_none(self, tmp_path: Path) -> None:
        with pytest.raises(MetaTokenizerMissing, match="give tokenizer= another folder"):
            load_meta_tokenizer(tmp_path)

    def test_a_template_of_its_own(self, tmp_path: Path) -> None:
        file = write_ranks(tmp_path / "tokenizer.model", make_ranks())
        config = tmp_path / "tokenizer_config.json"
        config.write_text(json.dumps({"chat_template": "from config"}))
        assert load_meta_tokenizer(file).chat_template == "from config"
        (tmp_path / "chat_template.jinja").write_text("from jinja")
        assert load_meta_tokenizer(file).chat_template == "from jinja"
        (tmp_path / "chat_template.jinja").unlink()
        config.write_text("[]")
        with pytest.raises(MetaTokenizerUnreadable, match="the template beside it"):
            load_meta_tokenizer(file)
