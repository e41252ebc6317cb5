from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from doubles import TEXTS, Allergic, Overflowing, Wrapped, chat, finish, sequence
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_pipeline.generation.fallback.executor import WINDOW, BatchExecutor
from nlp_pipeline.generation.interface import SamplingParams
from nlp_pipeline.generation.loading.load import LoadedModel
from nlp_pipeline.generation.prompt_encoder import PromptEncoder
from nlp_pipeline.generation.sequence import Sequence

UNUSED = 639
"""A token of none of the prompts."""

Make = Callable[..., BatchExecutor]
Oracle = Callable[[tuple[int, ...], int], list[int]]


@pytest.fixture(scope="session")
def prompts(encoder: PromptEncoder) -> list[list[int]]:
    """16 prompts of 1 to over 100 tokens."""
    prompts = [encoder.encode(text) for text in TEXTS + [f"{text} Why?" for text in TEXTS]]
    assert min(map(len, prompts)) == 1
    assert not any(UNUSED in ids for ids in prompts)
    assert max(map(len, prompts)) > 100
    return prompts


class TestGreedyEqualsTransformers:
    @pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 8, 16])
    @pytest.mark.parametrize("order", ["given", "reverse"])
    def test_mixed_lengths_in_any_batch(
        self,
        make_executor: Make,
        oracle: Oracle,
        prompts: list[list[int]],
        batch_size: int,
        order: str,
    ) -> None:
        asked = [sequence(str(i), ids, max_new_tokens=10) for i, ids in enumerate(prompts)]
        executor = make_executor(max_batch_size=batch_size)
        done = finish(executor, asked if order == "given" else asked[::-1])
        assert sorted(map(id, done)) == sorted(map(id, asked))
        for one in asked:
            assert one.output_ids == oracle(tuple(one.prompt_ids), 10)
            assert len(one.logprobs) == len(one.output_ids)

    @settings(max_examples=25, deadline=None)
    @given(
        rows=st.lists(
            st.tuples(st.lists(st.integers(0, 639), min_size=1, max_size=24), st.integers(1, 6)),
            min_size=1,
            max_size=6,
        ),
        batch_size=st.integers(1, 16),
    )
    def test_any_ids(
        self,
        tiny: LoadedModel,
        encoder: PromptEncoder,
        oracle: Oracle,
        rows: list[tuple[list[int], int]],
        batch_size: int,
    ) -> None:
        executor = BatchExecutor(
            tiny.model,
            eos_token_ids=tiny.eos_token_ids,
            token_bytes=encoder.token_bytes,
            max_batch_size=batch_size,
            max_seq_len=512,
        )
        asked = [sequence(str(i), ids, max_new_tokens=n) for i, (ids, n) in enumerate(rows)]
        finish(executor, asked)
        for one in asked:
            expected = oracle(tuple(one.prompt_ids), 6)[: one.params.max_new_tokens]
            assert one.output_ids == expected

    def test_repetition_penalty(
        self, make_executor: Make, tiny: LoadedModel, prompts: list[list[int]]
    ) -> None:
        asked = [sequence(str(i), ids, repetition_penalty=1.7) for i, ids in enumerate(prompts[:4])]
        for one in asked:
            object.__setattr__(one.params, "max_new_tokens", 8)
        finish(make_executor(), asked)
        for one in asked:
            ids = torch.tensor([one.prompt_ids])
            expected = tiny.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                repetition_penalty=1.7,
                max_new_tokens=8,
                pad_token_id=0,
            )
            assert one.output_ids == expected[0, ids.shape[1] :].tolist()


def plain_scores(tiny: LoadedModel, ids: list[int]) -> torch.Tensor:
    """log_softmax of one forward over all ids, without cache, padding or batch."""
    with torch.no_grad():
        return torch.as_tensor(tiny.model(torch.tensor([ids])).logits[0].log_softmax(-1))


class TestLogprobs:
    def test_are_those_of_a_plain_forward(
        self, make_executor: Make, tiny: LoadedModel, prompts: list[list[int]]
    ) -> None:
        asked = [
            sequence(str(i), ids, max_new_tokens=8, logprobs=3, echo=i % 2 == 0)
            for i, ids in enumerate(prompts)
        ]
        finish(make_executor(max_batch_size=16), asked)
        for one in asked:
            scores = plain_scores(tiny, one.prompt_ids + one.output_ids)
            start = len(one.prompt_ids)
            for step, token in enumerate(one.output_ids):
                row = scores[start + step - 1]
                assert one.logprobs[step] == pytest.approx(row[token].item(), abs=1e-9)
                best = row.topk(3)
                assert [i for i, _ in one.top[step]] == best.indices.tolist()
                assert [p for _, p in one.top[step]] == pytest.approx(best.values.tolist())

    def test_echo_scores_the_prompt(
        self, make_executor: Make, tiny: LoadedModel, prompts: list[list[int]]
    ) -> None:
        asked = [
            sequence(str(i), ids, max_new_tokens=1, echo=i != 2) for i, ids in enumerate(prompts)
        ]
        finish(make_executor(max_batch_size=16), asked)
        assert asked[2].prompt_logprobs == []
        for one in asked[:2] + asked[3:]:
            scores = plain_scores(tiny, one.prompt_ids)
            picked = [scores[i, t].item() for i, t in enumerate(one.prompt_ids[1:])]
            assert one.prompt_logprobs[0] is None
            assert one.prompt_logprobs[1:] == pytest.approx(picked, abs=1e-9)

    def test_sampled_tokens_are_scored_in_the_unscaled_unmasked_distribution(
        self, make_executor: Make, tiny: LoadedModel, prompts: list[list[int]]
    ) -> None:
        one = sequence(
            "a", prompts[1], temperature=2.5, top_k=5, repetition_penalty=1.5, max_new_tokens=8
        )
        finish(make_executor(), [one])
        scores = plain_scores(tiny, one.prompt_ids + one.output_ids)[len(one.prompt_ids) - 1 :]
        picked = [scores[i, token].item() for i, token in enumerate(one.output_ids)]
        assert one.logprobs == pytest.approx(picked, abs=1e-9)

    def test_as_many_alternatives_as_there_are_tokens(self, make_executor: Make) -> None:
        one = sequence("a", [5], max_new_tokens=1, logprobs=100)
        finish(make_executor(), [one])
        assert len(one.top[0]) == 100
        assert sum(2.718281828459045**p for _, p in one.top[0]) <= 1


class TestEnds:
    def test_at_an_end_token_and_at_the_budget(
        self, make_executor: Make, oracle: Oracle, prompts: list[list[int]]
    ) -> None:
        asked = [sequence(str(i), ids, max_new_tokens=10) for i, ids in enumerate(prompts)]
        finish(make_executor(), asked)
        reasons = {one.finish_reason for one in asked}
        assert reasons == {"stop", "length"}, "the prompts must show both"
        for one in asked:
            assert one.stopped_by_token == (one.output_ids[-1] == 2)
            assert one.finish_reason == ("stop" if one.stopped_by_token else "length")
            assert one.stopped_by_token or len(one.output_ids) == 10

    def test_at_the_end_of_the_context(
        self, make_executor: Make, tiny: LoadedModel, prompts: list[list[int]]
    ) -> None:
        model = Wrapped(tiny.model)
        executor = make_executor(model, eos=frozenset(), max_seq_len=30, max_batch_size=16)
        lengths = [1, 10, 29, 25]
        asked = [sequence(str(n), prompts[4][:n], max_new_tokens=99) for n in lengths]
        finish(executor, asked)
        assert [len(one.output_ids) for one in asked] == [29, 20, 1, 5]
        assert {one.finish_reason for one in asked} == {"length"}
        # Rows that have ended wait for the others inside the context, too.
        assert model.largest_position <= 29

    def test_without_a_forward_for_tokens_that_nobody_needs(
        self, make_executor: Make, tiny: LoadedModel
    ) -> None:
        model = Wrapped(tiny.model)
        finish(make_executor(model, eos=frozenset()), [sequence("a", [7, 8, 9], max_new_tokens=5)])
        assert model.calls == 5  # one prefill, which gives the first token, and four steps

    def test_stop_string_across_tokens(
        self, make_executor: Make, encoder: PromptEncoder, oracle: Oracle
    ) -> None:
        ids = encoder.encode(chat("Who found it?"))
        expected = oracle(tuple(ids), 10)
        pieces = [encoder.token_bytes(token) for token in expected]
        assert pieces == [b"O", b"mar", b" H", b"ad", b"d", b"ad", b"<|im_end|>"]
        one = sequence("a", ids, max_new_tokens=10, stop=["never", "ar Ha"])
        finish(make_executor(), [one])
        assert one.output_ids == expected[:4]
        assert one.finish_reason == "stop"
        assert not one.stopped_by_token


class TestFailures:
    @pytest.mark.parametrize("error", [RuntimeError("x"), IndexError("x"), MemoryError()])
    def test_only_the_culprit_fails(
        self,
        make_executor: Make,
        tiny: LoadedModel,
        oracle: Oracle,
        prompts: list[list[int]],
        error: Exception,
    ) -> None:
        executor = make_executor(Allergic(tiny.model, UNUSED, error), max_batch_size=16)
        asked = [sequence(str(i), ids, max_new_tokens=4) for i, ids in enumerate(prompts[:6])]
        bad = sequence("bad", [5, UNUSED, 7], max_new_tokens=4, echo=True, logprobs=2)
        done = finish(executor, [*asked[:3], bad, *asked[3:]])
        assert len(done) == len(asked) + 1
        assert bad.finish_reason == "error"
        assert bad.error is not None
        assert bad.error.kind == "generation_failed"
        assert "\n" not in str(bad.error)
        assert (bad.output_ids, bad.logprobs, bad.top, bad.prompt_logprobs) == ([], [], [], [])
        for one in asked:
            assert one.output_ids == oracle(tuple(one.prompt_ids), 4)
            assert one.error is None

    def test_too_much_for_the_memory_is_run_in_halves(
        self, make_executor: Make, tiny: LoadedModel, oracle: Oracle, prompts: list[list[int]]
    ) -> None:
        class Small(Wrapped):
            """Has memory for three rows."""

            sizes: ClassVar[list[int]] = []

            def forward(self, input_ids: torch.Tensor, **inputs: Any) -> Any:
                self.sizes.append(len(input_ids))
                if len(input_ids) > 3:
                    raise torch.OutOfMemoryError("CUDA out of memory")
                return super().forward(input_ids, **inputs)

        model = Small(tiny.model)
        asked = [sequence(str(i), ids, max_new_tokens=4) for i, ids in enumerate(prompts[:6])]
        finish(make_executor(model, max_batch_size=16), asked)
        assert [one.output_ids for one in asked] == [oracle(tuple(s.prompt_ids), 4) for s in asked]
        assert model.sizes[:2] == [6, 3]
        assert 1 not in model.sizes

    def test_says_what_the_model_said(self, make_executor: Make, tiny: LoadedModel) -> None:
        model = Allergic(tiny.model, UNUSED, RuntimeError("CUDA out\n of memory"))
        bad = sequence("bad", [UNUSED])
        finish(make_executor(model), [bad])
        assert str(bad.error) == "Generation failed: CUDA out of memory"

    def test_an_interrupt_ends_the_run(self, make_executor: Make, tiny: LoadedModel) -> None:
        executor = make_executor(Allergic(tiny.model, UNUSED, KeyboardInterrupt()))  # type: ignore[arg-type]
        with pytest.raises(KeyboardInterrupt):
            finish(executor, [sequence("a", [UNUSED])])

    @pytest.mark.parametrize("temperature", [0.0, 1.0])
    def test_probabilities_that_are_no_numbers(
        self,
        make_executor: Make,
        tiny: LoadedModel,
        oracle: Oracle,
        prompts: list[list[int]],
        temperature: float,
    ) -> None:
        bad = sequence("bad", [UNUSED], max_new_tokens=4, temperature=temperature)
        good = sequence("good", prompts[0], max_new_tokens=4)
        finish(make_executor(Overflowing(tiny.model, UNUSED)), [bad, good])
        assert bad.finish_reason == "error"
        assert bad.output_ids == []
        assert good.output_ids == oracle(tuple(prompts[0]), 4)


class TestWaitingLine:
    def test_room_shrinks_and_never_goes_below_zero(self, make_executor: Make) -> None:
        executor = make_executor(max_batch_size=2)
        assert executor.room == 2 * WINDOW
        for number in range(2 * WINDOW + 3):
            executor.add(sequence(str(number), [5]))
        assert executor.room == 0

    def test_cancelled_sequences_never_come_back(self, make_executor: Make) -> None:
        executor = make_executor(max_batch_size=2)
        asked = [sequence(str(i), [5 + i], max_new_tokens=1) for i in range(6)]
        for one in asked:
            executor.add(one)
        executor.cancel(asked[1:5])
        done = executor.step() + executor.step()
        assert {one.request_id for one in done} == {"0", "5"}
        assert [one.output_ids for one in asked[1:5]] == [[]] * 4

    def test_the_oldest_is_in_every_batch(self, make_executor: Make) -> None:
        rng = random.Random(1)
        executor = make_executor(max_batch_size=3)
        waiting: list[Sequence] = []
        for number in range(12):
            waiting.append(sequence(str(number), [7] * rng.randint(1, 9), max_new_tokens=1))
            executor.add(waiting[-1])
        while waiting:
            done = executor.step()
            assert waiting[0] in done
            waiting = [one for one in waiting if one not in done]

    def test_batches_hold_no_more_than_they_may(
        self, make_executor: Make, tiny: LoadedModel
    ) -> None:
        model = Wrapped(tiny.model)
        asked = [sequence(str(i), [9] * (1 + i % 4), max_new_tokens=1) for i in range(11)]
        finish(make_executor(model, max_batch_size=3), asked)
        assert model.widest_batch == 3


class TestSampling:
    def test_a_sample_does_not_depend_on_its_batch(
        self, make_executor: Make, prompts: list[list[int]]
    ) -> None:
        def sample(seed: int, name: str = "a") -> Sequence:
            return sequence(name, prompts[1], temperature=3.0, seed=seed, max_new_tokens=8)

        alone = sample(seed=4)
        finish(make_executor(), [alone])
        among = sample(seed=4)
        others = [sample(seed=i, name=str(i)) for i in range(5, 20)]
        finish(make_executor(max_batch_size=16), [*others[:7], among, *others[7:]])
        assert among.output_ids == alone.output_ids
        assert among.logprobs == pytest.approx(alone.logprobs)
        assert len({tuple(one.output_ids) for one in [alone, *others]}) > 10


@pytest.mark.gpu
def test_inputs_go_to_the_models_device(tiny_llama: str, prompts: list[list[int]]) -> None:
    from nlp_pipeline.generation.llama import Llama

    cpu = Llama.build(tiny_llama, device="cpu", dtype="float64")
    gpu = Llama.build(tiny_llama, device="cuda", dtype="float64")
    assert gpu.loaded.model.device.type == "cuda"
    asked = prompts[:8]
    expected = [c.token_ids for c in cpu.generate(asked, max_new_tokens=8)]
    assert [c.token_ids for c in gpu.generate(asked, max_new_tokens=8)] == expected


class Only:
    """A constraint: these tokens one after the other, then token 9, which ends it."""

    stop_token_ids = frozenset({9})

    def __init__(self, *tokens: int) -> None:
        self._tokens = tokens

    def allowed(self, output_ids: Any) -> list[int]:
        return [self._tokens[len(output_ids)]] if len(output_ids) < len(self._tokens) else [9]


def test_plain_batches_obey_constraints(make_executor: Any) -> None:
    held = [
        Sequence(str(i), [5, 6 + i], SamplingParams(temperature=t)) for i, t in ((0, 0), (1, 1))
    ]
    for one in held:
        one.constraint = Only(30, 31, 32)
    free = Sequence("free", [5, 6], SamplingParams(max_new_tokens=4))
    executor = make_executor()
    for one in (*held, free):
        executor.add(one)
    executor.step()
    for one in held:
        assert one.output_ids == [30, 31, 32, 9]
        assert one.stopped_by_token
        assert all(score < 0 for score in one.logprobs)
    assert free.output_ids != held[0].output_ids


def test_plain_batches_refuse_beams(make_executor: Any) -> None:
    beams = Sequence("beams", [5, 6], SamplingParams(num_beams=2))
    plain = Sequence("plain", [5, 6], SamplingParams(max_new_tokens=2))
    executor = make_executor()
    executor.add(beams)
    executor.add(plain)
    assert executor.step() == [beams]
    assert "at most 1 beams" in str(beams.error)
    assert executor.step() == [plain]
