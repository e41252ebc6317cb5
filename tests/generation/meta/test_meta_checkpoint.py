from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from meta_reference import Shape, random_weights, reference_logits, write_checkpoint

from nlp_pipeline.errors.generation import CheckpointUnreadable, TokenizerNotFound
from nlp_pipeline.errors.meta import (
    MetaTokenizerMissing,
    NoShards,
    ParamsDisagree,
    ParamsUnreadable,
    ShardMissing,
    ShardsDisagree,
    ShardUnreadable,
    TensorsUnknown,
    UnsafeShard,
    VocabularyDisagrees,
)
from nlp_pipeline.generation.llama import Llama
from nlp_pipeline.generation.loading.load import LoadedModel, load

IDS = [3, 511, 0, 17, 300, 300, 42, 256, 9, 128, 77, 5, 400, 1, 2, 3, 3, 90, 91, 92]

GROUPED = Shape(n_kv_heads=4)
LLAMA_3 = Shape(n_kv_heads=2, rope_theta=500_000.0, use_scaled_rope=True)


def logits_of(loaded: LoadedModel) -> torch.Tensor:
    logits: torch.Tensor = loaded.model(torch.tensor([IDS])).logits[0]
    return logits


def assert_same(loaded: LoadedModel, expected: torch.Tensor) -> None:
    """Equal but for the frequencies' cosines, which both compute in float32, each in its way."""
    assert expected.std() > 0.5, "a test of logits that are all alike would prove nothing"
    torch.testing.assert_close(logits_of(loaded), expected, rtol=0, atol=3e-5)


def read(folder: str, **options: Any) -> LoadedModel:
    return load(folder, device="cpu", dtype="float64", **options)


class TestLogits:
    """Against the forward pass of `meta_reference`, in float64."""

    @pytest.mark.parametrize("shards", [1, 2, 4, 8])
    @pytest.mark.parametrize("axis", [0, 1], ids=["by-vocabulary", "by-width"])
    def test_any_number_of_shards(self, tmp_path: Path, shards: int, axis: int) -> None:
        shape = Shape()
        weights = random_weights(shape)
        folder = write_checkpoint(tmp_path, shape, weights, shards=shards, embedding_axis=axis)
        assert_same(read(folder), reference_logits(shape, weights, IDS))

    @pytest.mark.parametrize(
        ("kv_heads", "shards"), [(4, 1), (4, 4), (1, 1), (2, 8), (1, 4), (4, 8)]
    )
    def test_grouped_queries_and_shards_that_share_a_head(
        self, tmp_path: Path, kv_heads: int, shards: int
    ) -> None:
        shape = Shape(n_kv_heads=kv_heads)
        weights = random_weights(shape)
        folder = write_checkpoint(tmp_path, shape, weights, shards=shards)
        loaded = read(folder)
        assert loaded.model.config.num_key_value_heads == kv_heads
        assert_same(loaded, reference_logits(shape, weights, IDS))

    @pytest.mark.parametrize("shards", [1, 2])
    def test_scaled_rotary_embeddings(self, tmp_path: Path, shards: int) -> None:
        weights = random_weights(LLAMA_3)
        folder = write_checkpoint(tmp_path, LLAMA_3, weights, shards=shards)
        expected = reference_logits(LLAMA_3, weights, IDS)
        assert_same(read(folder), expected)
        unscaled = reference_logits(Shape(n_kv_heads=2, rope_theta=500_000.0), weights, IDS)
        assert (expected - unscaled).abs().max() > 1e-3

    @pytest.mark.parametrize("copied", [True, False])
    def test_a_tied_head_and_the_factor_of_llama_3_2(self, tmp_path: Path, copied: bool) -> None:
        weights = random_weights(LLAMA_3, tied=True)
        written = dict(weights)
        if copied:  # as Llama 3.2 is published
            written["output.weight"] = weights["tok_embeddings.weight"]
        loaded = read(write_checkpoint(tmp_path, LLAMA_3, written, shards=2))
        assert loaded.model.lm_head.weight is loaded.model.model.embed_tokens.weight
        assert_same(loaded, reference_logits(LLAMA_3, weights, IDS, factor=32.0))

    def test_a_factor_that_the_file_names(self, tmp_path: Path) -> None:
        weights = random_weights(LLAMA_3)
        folder = write_checkpoint(tmp_path, LLAMA_3, weights, rope_scaling_factor=16)
        assert_same(read(folder), reference_logits(LLAMA_3, weights, IDS, factor=16.0))

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
    def test_files_in_other_number_formats(self, tmp_path: Path, dtype: torch.dtype) -> None:
        weights = random_weights(GROUPED, dtype=dtype)
        folder = write_checkpoint(tmp_path, GROUPED, weights, shards=2)
        exact = {name: tensor.double() for name, tensor in weights.items()}
        assert_same(read(folder), reference_logits(GROUPED, exact, IDS))
        assert {p.dtype for p in load(folder, device="cpu").model.parameters()} == {torch.float32}

    def test_all_ways_to_write_it_give_the_same_bits(self, tmp_path: Path) -> None:
        weights = random_weights(GROUPED)
        ways = [(1, 0), (2, 1), (8, 0)]
        logits = [
            logits_of(
                read(
                    write_checkpoint(
                        tmp_path / f"{n}", GROUPED, weights, shards=n, embedding_axis=axis
                    )
                )
            )
            for n, axis in ways
        ]
        assert all(torch.equal(logits[0], other) for other in logits[1:])

    def test_the_derived_frequencies_of_llama_2_are_left_out(self, tmp_path: Path) -> None:
        weights = random_weights(Shape())
        written = weights | {"rope.freqs": torch.ones(4)}
        folder = write_checkpoint(tmp_path, Shape(), written)
        assert_same(read(folder), reference_logits(Shape(), weights, IDS))


class TestWhatIsKnownOfIt:
    def test_details(self, tmp_path: Path) -> None:
        loaded = read(write_checkpoint(tmp_path, LLAMA_3, random_weights(LLAMA_3)))
        assert loaded.eos_token_ids == {257, 264, 265}
        assert loaded.max_seq_len == 131_072
        assert loaded.details["architecture"] == "LlamaForCausalLM"
        assert loaded.details["parameters"] == sum(
            tensor.numel() for tensor in random_weights(LLAMA_3).values()
        )
        assert not any(p.requires_grad for p in loaded.model.parameters())

    @pytest.mark.parametrize(
        ("params", "context"),
        [
            ({"norm_eps": 1e-6}, 2048),
            ({"norm_eps": 1e-5}, 4096),
            ({"rope_theta": 500_000.0}, 8192),
            ({"rope_theta": 1_000_000.0}, 16_384),
            ({"rope_theta": 500_000.0, "use_scaled_rope": True}, 131_072),
            ({"max_seq_len": 512}, 512),
        ],
    )
    def test_the_context_is_the_published_one(
        self, tmp_path: Path, params: dict[str, Any], context: int
    ) -> None:
        folder = write_checkpoint(tmp_path, Shape(), random_weights(Shape()), **params)
        assert read(folder).max_seq_len == context

    def test_it_generates_what_transformers_generates(self, tmp_path: Path) -> None:
        folder = write_checkpoint(tmp_path, GROUPED, random_weights(GROUPED), shards=2)
        llama = Llama.build(folder, device="cpu", dtype="float64", max_seq_len=64)
        prompts = ["Hello", "A longer text, with more in it"]
        for prompt, done in zip(prompts, llama.generate(prompts, max_new_tokens=8), strict=True):
            ids = torch.tensor([llama.encoder.encode(prompt)])
            assert ids[0, 0] == 256
            out = llama.loaded.model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=8
            )
            expected = out[0, ids.shape[1] :].tolist()
            assert list(done.token_ids) == [i for i in expected if i not in {257, 264, 265}]

    def test_a_single_shard_stays_in_its_file(self, tmp_path: Path) -> None:
        """Nothing is copied but the two permuted matrices: the file is mapped."""
        weights = random_weights(Shape(), dtype=torch.float32)
        loaded = load(write_checkpoint(tmp_path, Shape(), weights), device="cpu")
        mapped = Path(f"/proc/{os.getpid()}/maps")
        if not mapped.exists():
            pytest.skip("no /proc")
        assert "consolidated.00.pth" in mapped.read_text()
        assert loaded.model.dtype == torch.float32


class TestTokenizerElsewhere:
    def test_a_folder_or_a_file(self, tmp_path: Path) -> None:
        weights = random_weights(Shape())
        model = write_checkpoint(tmp_path / "model", Shape(), weights, tokenizer=False)
        other = write_checkpoint(tmp_path / "other", Shape(), weights)
        with pytest.raises(MetaTokenizerMissing, match=r"has no tokenizer\.model\. Copy it there"):
            read(model)
        for place in (other, f"{other}/tokenizer.model"):
            assert read(model, tokenizer=place).eos_token_ids == {257, 264, 265}

    def test_nowhere(self, tmp_path: Path) -> None:
        folder = write_checkpoint(tmp_path, Shape(), random_weights(Shape()))
        (tmp_path / "empty").mkdir()
        with pytest.raises(TokenizerNotFound):
            read(folder, tokenizer=str(tmp_path / "empty"))

    def test_of_another_model(self, tmp_path: Path, tiny_llama: str) -> None:
        folder = write_checkpoint(tmp_path, Shape(), random_weights(Shape()))
        with pytest.raises(VocabularyDisagrees, match="has 640 tokens and its weights have 512"):
            read(folder, tokenizer=tiny_llama)
        large = Shape(vocabulary=1024)
        folder = write_checkpoint(tmp_path, large, random_weights(large))
        with pytest.raises(VocabularyDisagrees, match="has 512 tokens and its weights have 1024"):
            read(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of four shards, to be spoilt."""
    return Path(write_checkpoint(tmp_path, GROUPED, random_weights(GROUPED), shards=4))


def change(folder: Path, **params: Any) -> None:
    values = json.loads((folder / "params.json").read_text()) | params
    kept = {name: value for name, value in values.items() if value is not None}
    (folder / "params.json").write_text(json.dumps(kept))


def rewrite(file: Path, **tensors: torch.Tensor | None) -> None:
    """Replaces tensors of a shard; None takes one away."""
    content = torch.load(file, weights_only=True)
    content |= tensors
    torch.save({name: value for name, value in content.items() if value is not None}, file)


def fault(folder: Path, kind: type[CheckpointUnreadable]) -> str:
    with pytest.raises(CheckpointUnreadable) as caught:
        read(str(folder))
    assert type(caught.value) is kind
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestFaults:
    def test_no_weights(self, folder: Path) -> None:
        for file in folder.glob("*.pth"):
            file.unlink()
        assert "no weights (consolidated.00.pth) beside it" in fault(folder, NoShards)

    def test_a_gap(self, folder: Path) -> None:
        (folder / "consolidated.01.pth").unlink()
        said = fault(folder, ShardMissing)
        assert "consolidated.01.pth is missing; there is: consolidated.00.pth, " in said

    @pytest.mark.parametrize("lost", [1, 2, 3])
    def test_a_lost_tail(self, folder: Path, lost: int) -> None:
        for number in range(4 - lost, 4):
            (folder / f"consolidated.{number:02}.pth").unlink()
        said = fault(folder, ShardMissing)
        assert "consolidated.03.pth is missing; there is: consolidated.00.pth" in said

    def test_parts_of_different_shapes(self, folder: Path) -> None:
        name = "layers.1.feed_forward.w2.weight"
        rewrite(folder / "consolidated.02.pth", **{name: torch.zeros(64, 30)})
        said = fault(folder, ShardsDisagree)
        assert f"'{name}' is 64 × 24, 64 × 30 and must be 64 × 96 in all" in said

    def test_a_tensor_that_one_shard_lacks(self, folder: Path) -> None:
        rewrite(folder / "consolidated.02.pth", **{"norm.weight": None})
        assert "'norm.weight' is not in all of them" in fault(folder, ShardsDisagree)

    def test_shared_heads_that_differ(self, tmp_path: Path) -> None:
        shape = Shape(n_kv_heads=2)
        write_checkpoint(tmp_path, shape, random_weights(shape), shards=4)
        name = "layers.0.attention.wk.weight"
        rewrite(tmp_path / "consolidated.01.pth", **{name: torch.zeros(8, 64).double()})
        assert f"'{name}' is not the same in the 2 files that share" in fault(
            tmp_path, ShardsDisagree
        )

    def test_a_vector_where_a_matrix_should_be(self, folder: Path) -> None:
        for file in folder.glob("*.pth"):
            rewrite(file, **{"layers.0.attention.wk.weight": torch.zeros(8)})
        assert "wk.weight' is no matrix" in fault(folder, ShardsDisagree)

    def test_missing_and_unknown_tensors(self, folder: Path) -> None:
        for file in folder.glob("*.pth"):
            rewrite(file, **{"norm.weight": None, "vision.weight": torch.zeros(1, 1)})
        said = fault(folder, TensorsUnknown)
        assert "it has no norm.weight, and it has the unknown vision.weight" in said

    @pytest.mark.parametrize(
        ("params", "said"),
        [
            ({"dim": 128}, "params.json says dim=128, the weights say 64"),
            ({"n_layers": 3}, "params.json says n_layers=3, the weights say 2"),
            (
                {"n_heads": 16},
                "n_heads=16 and n_kv_heads=4, which makes 16 rows of keys, the weights say 32",
            ),
            (
                {"n_kv_heads": 8},
                "n_heads=8 and n_kv_heads=8, which makes 64 rows of keys, the weights say 32",
            ),
            ({"vocab_size": 500}, "params.json says vocab_size=500, the weights say 512"),
        ],
    )
    def test_params_that_disagree(self, folder: Path, params: dict[str, int], said: str) -> None:
        change(folder, **params)
        assert said in fault(folder, ParamsDisagree)

    def test_heads_that_only_the_frequencies_show(self, tmp_path: Path) -> None:
        weights = random_weights(Shape()) | {"rope.freqs": torch.ones(4)}
        write_checkpoint(tmp_path, Shape(), weights, n_heads=4)
        said = fault(tmp_path, ParamsDisagree)
        assert "params.json says n_heads=4, the weights say 8" in said

    @pytest.mark.parametrize(
        ("params", "said"),
        [
            ({"dim": None}, "has no dim"),
            ({"n_layers": None}, "has no n_layers"),
            ({"n_heads": "8"}, "says n_heads='8', which must be an integer of at least 1"),
            ({"n_heads": True}, "says n_heads=True, which must be an integer of at least 1"),
            ({"dim": 0}, "says dim=0, which must be an integer of at least 1"),
            ({"n_heads": 7}, "says dim=64 and n_heads=7: dim/n_heads must be even"),
            ({"n_kv_heads": 3}, "says n_heads=8 and n_kv_heads=3: not a multiple"),
            ({"norm_eps": "small"}, "says norm_eps='small', which must be a number above 0"),
            ({"rope_theta": -1}, "says rope_theta=-1, which must be a number above 0"),
        ],
    )
    def test_impossible_params(self, folder: Path, params: dict[str, Any], said: str) -> None:
        change(folder, **params)
        assert f"its params.json {said}" in fault(folder, ParamsUnreadable)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (None, "is missing"),
            ("{", "is no JSON"),
            ("[1]", "holds a list and must hold an object"),
        ],
    )
    def test_params_that_cannot_be_read(self, folder: Path, content: str | None, said: str) -> None:
        (folder / "params.json").unlink()
        if content is not None:
            (folder / "params.json").write_text(content)
        assert f"its params.json {said}" in fault(folder, ParamsUnreadable)

    def test_params_one_level_down(self, folder: Path) -> None:
        values = json.loads((folder / "params.json").read_text())
        (folder / "params.json").write_text(json.dumps({"model": values}))
        assert read(str(folder)).model.config.num_hidden_layers == 2


class Evil:
    """Unpickled, it would make a folder."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.place),)


class TestFilesThatAreNoTensors:
    @pytest.mark.parametrize("zipped", [True, False])
    def test_code_is_never_run(self, folder: Path, tmp_path: Path, zipped: bool) -> None:
        trap = tmp_path / "ran"
        file = folder / "consolidated.03.pth"
        torch.save({"w": Evil(trap)}, file, _use_new_zipfile_serialization=zipped)
        said = fault(folder, UnsafeShard)
        assert "reading it would run code (posix.mkdir), and weights are only ever read" in said
        assert not trap.exists()

    def test_the_old_format_of_torch(self, folder: Path) -> None:
        expected = logits_of(read(str(folder)))
        for file in folder.glob("*.pth"):
            content = torch.load(file, weights_only=True)
            torch.save(content, file, _use_new_zipfile_serialization=False)
        assert torch.equal(logits_of(read(str(folder))), expected)

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no weights", b"\x80\x02}q\x00."])
    def test_damaged(self, folder: Path, content: bytes) -> None:
        (folder / "consolidated.00.pth").write_bytes(content)
        assert "Fetch it again" in fault(folder, ShardUnreadable)

    def test_cut_short(self, folder: Path) -> None:
        file = folder / "consolidated.00.pth"
        file.write_bytes(file.read_bytes()[:5000])
        fault(folder, ShardUnreadable)

    def test_something_else(self, folder: Path) -> None:
        torch.save([1, 2], folder / "consolidated.00.pth")
        assert "it holds something else" in fault(folder, ShardUnreadable)
        with zipfile.ZipFile(folder / "consolidated.00.pth", "w") as archive:
            archive.writestr("readme.txt", "hello")
        fault(folder, ShardUnreadable)
