from __future__ import annotations

import random
from collections.abc import Sequence as SequenceOf

import pytest
import torch
from engine_doubles import EOS, finish, make_engine, tiny_model

from nlp_pipeline.errors import InvalidSamplingParams
from nlp_pipeline.generation.interface import SamplingParams
from nlp_pipeline.generation.sequence import Sequence

pytestmark = pytest.mark.usefixtures("both_caches")

RNG = random.Random(4)
PROMPTS = [[RNG.randrange(300) for _ in range(RNG.randrange(1, 40))] for _ in range(6)]


def searched(name: str, prompt: list[int], num_beams: int, **more: object) -> Sequence:
    params = SamplingParams(num_beams=num_beams, **{"max_new_tokens": 8, **more})  # type: ignore[arg-type]
    return Sequence(name, prompt, params)


def by_transformers(prompt: list[int], num_beams: int, length_penalty: float) -> list[int]:
    ids = torch.tensor([prompt])
    out = (
        tiny_model()
        .generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            num_beams=num_beams,
            length_penalty=length_penalty,
            early_stopping=False,
            max_new_tokens=8,
            eos_token_id=sorted(EOS),
            pad_token_id=0,
        )[0, len(prompt) :]
        .tolist()
    )
    ends = [place for place, token in enumerate(out) if token in EOS]
    return out[: ends[0] + 1] if ends else out


@pytest.mark.parametrize(("num_beams", "length_penalty"), [(2, 1.0), (3, 0.0), (4, 0.5)])
def test_beams_find_what_transformers_finds(num_beams: int, length_penalty: float) -> None:
    sequences = [
        searched(str(i), prompt, num_beams, length_penalty=length_penalty)
        for i, prompt in enumerate(PROMPTS)
    ]
    finish(make_engine(max_batch_size=9), sequences)
    for sequence, prompt in zip(sequences, PROMPTS, strict=True):
        assert sequence.output_ids == by_transformers(prompt, num_beams, length_penalty)


def test_the_ended_hypotheses_come_back_best_first() -> None:
    plain = searched("plain", PROMPTS[0], 3, length_penalty=0.0)
    several = searched("several", PROMPTS[0], 3, length_penalty=0.0, num_hypotheses=8)
    finish(make_engine(max_batch_size=9), [plain, several])
    assert several.output_ids == plain.output_ids
    assert [h.output_ids for h in plain.hypotheses] == [tuple(plain.output_ids)]
    scores = [sum(h.logprobs) for h in several.hypotheses]
    assert scores == sorted(scores, reverse=True)
    assert list(several.hypotheses[0].output_ids) == several.output_ids
    assert len({h.output_ids for h in several.hypotheses}) == len(scores) <= 8


def test_beams_do_not_depend_on_the_company() -> None:
    def mixed() -> list[Sequence]:
        return [
            searched(str(i), prompt, 3 if i % 2 else 1, max_new_tokens=6 + i)
            for i, prompt in enumerate(PROMPTS + PROMPTS[:3])
        ]

    alone = mixed()
    for sequence in alone:
        finish(make_engine(max_batch_size=4), [sequence])
    for size, arrive in ((4, 100), (7, 2), (16, 1)):
        together = mixed()
        engine = make_engine(max_batch_size=size, max_batched_tokens=17)
        random.Random(size).shuffle(together)
        finish(engine, together, arrive)
        together.sort(key=lambda s: int(s.request_id))
        for one, other in zip(alone, together, strict=True):
            assert one.output_ids == other.output_ids
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-9)


class Tree:
    """A constraint: these token sequences, each ended by token 7; as `DocumentSpans` is one."""

    stop_token_ids = frozenset({7})

    def __init__(self, answers: list[tuple[int, ...]]) -> None:
        self._answers = [(*answer, 7) for answer in answers]

    def allowed(self, output_ids: SequenceOf[int]) -> list[int]:
        so_far = tuple(output_ids)
        rest = [a[len(so_far)] for a in self._answers if a[: len(so_far)] == so_far]
        return list(dict.fromkeys(rest)) or [7]

    def keep(self, output_ids: SequenceOf[int]) -> int:
        return len(output_ids)


def raw_scores(prompt: list[int], answer: tuple[int, ...]) -> list[float]:
    ids = torch.tensor([[*prompt, *answer]])
    scores = tiny_model()(ids).logits[0].log_softmax(-1)
    first = len(prompt) - 1
    return [float(scores[first + place, token]) for place, token in enumerate(answer)]


@pytest.mark.parametrize("seed", range(4))
def test_wide_beams_find_the_best_of_all_allowed(seed: int) -> None:
    rng = random.Random(seed)
    answers = sorted({tuple(rng.choices(range(20, 24), k=rng.randrange(1, 4))) for _ in range(12)})
    sequence = searched("r", PROMPTS[seed], 12, length_penalty=0.0)
    sequence.constraint = Tree(answers)
    finish(make_engine(max_batch_size=12), [sequence])
    with torch.inference_mode():
        scores = {a: raw_scores(PROMPTS[seed], (*a, 7)) for a in answers}
    best = max(answers, key=lambda a: sum(scores[a]))
    assert sequence.output_ids == [*best, 7]
    assert sequence.stopped_by_token
    assert sequence.logprobs == pytest.approx(scores[best])
    assert sequence.masked_logprob is not None
    assert sum(sequence.logprobs) < sequence.masked_logprob <= 0


def test_one_beam_under_a_constraint_is_greedy_among_the_allowed() -> None:
    answers = [(20, 21), (20, 22, 23), (24,)]
    sequence = searched("r", PROMPTS[1], 1)
    sequence.constraint = Tree(answers)
    finish(make_engine(), [sequence])
    wanted: list[int] = []
    with torch.inference_mode():
        while wanted[-1:] != [7]:
            logits = tiny_model()(torch.tensor([[*PROMPTS[1], *wanted]])).logits[0, -1]
            allowed = Tree(answers).allowed(wanted)
            wanted.append(max(allowed, key=lambda token: float(logits[token])))
    assert sequence.output_ids == wanted


def test_what_the_budget_cuts_off_is_an_answer_where_nothing_has_ended() -> None:
    sequence = searched("r", PROMPTS[0], 2, max_new_tokens=2)
    sequence.constraint = Tree([(20, 21, 22, 23)])
    finish(make_engine(), [sequence])
    assert (sequence.output_ids, sequence.finish_reason) == ([20, 21], "length")
    assert not sequence.stopped_by_token


def test_more_beams_than_fit_are_refused_and_the_others_go_on() -> None:
    many, few = searched("many", PROMPTS[0], 5), searched("few", PROMPTS[1], 2)
    finish(make_engine(max_batch_size=4), [many, few])
    assert "num_beams=5 is not possible here: at most 4 beams" in str(many.error)
    assert few.error is None
    few.reset()
    crowded = make_engine(max_batch_size=4, kv_cache_tokens=len(PROMPTS[1]) + 9)
    finish(crowded, [few])
    assert "no memory" in str(few.error)


def test_a_search_that_is_given_up_frees_its_rows() -> None:
    engine = make_engine(max_batch_size=3)
    gone, kept = searched("gone", PROMPTS[2], 3), searched("kept", PROMPTS[3], 3)
    engine.add(gone)
    engine.step()
    engine.step()
    engine.cancel([gone])
    finish(engine, [kept])
    assert kept.output_ids == by_transformers(PROMPTS[3], 3, 1.0)


@pytest.mark.parametrize(
    ("name", "value"), [("temperature", 0.5), ("n", 2), ("stop", ("x",)), ("echo", True)]
)
def test_a_search_leaves_no_choice_of_how_to_sample(name: str, value: object) -> None:
    with pytest.raises(InvalidSamplingParams, match=f"{name}=.* with num_beams=2"):
        SamplingParams(num_beams=2, **{name: value})  # type: ignore[arg-type]
