from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import cast

import pytest
from doubles import Allergic, chat
from hypothesis import given, settings
from hypothesis import strategies as st

from nlp_pipeline.errors.generation import EmptyPrompt, PromptNotEncoded, PromptTooLong
from nlp_pipeline.generation.constraints.constraint import Constraint
from nlp_pipeline.generation.constraints.vocabulary import Vocabulary
from nlp_pipeline.generation.interface import Completion, GenerationRequest, SamplingParams
from nlp_pipeline.generation.llama import Llama
from nlp_pipeline.generation.loading.load import LoadedModel
from nlp_pipeline.generation.prompt_encoder import PromptEncoder
from nlp_pipeline.generation.session import ExecutorSession, SessionPool

MakePool = Callable[..., SessionPool]

pytestmark = pytest.mark.timeout(60)  # what goes wrong here goes on for ever


def request(name: str, prompt: object = "a", **params: object) -> GenerationRequest:
    params.setdefault("max_new_tokens", 1)
    return GenerationRequest(name, prompt, SamplingParams(**params))  # type: ignore[arg-type]


def drain(session: ExecutorSession) -> list[Completion]:
    done = []
    while session.running:
        done += session.step()
    return done


class TestTwoSessions:
    def test_each_gets_its_own_completions_once(self, make_pool: MakePool) -> None:
        pool = make_pool(max_batch_size=3)
        one, two = pool.open(), pool.open()
        for number in range(7):
            one.submit(request(f"one-{number}", "a" * (1 + number)))
            two.submit(request(f"two-{number}", "b" * (7 - number)))
        done: dict[int, list[str]] = {0: [], 1: []}
        for index, session in cycle(enumerate((one, two))):
            done[index] += [completion.request_id for completion in session.step()]
            if not one.running and not two.running:
                break
        assert sorted(done[0]) == [f"one-{number}" for number in range(7)]
        assert sorted(done[1]) == [f"two-{number}" for number in range(7)]
        assert one.step() == two.step() == []

    def test_request_ids_may_be_the_same(self, make_pool: MakePool) -> None:
        pool = make_pool()
        one, two = pool.open(), pool.open()
        one.submit(request("same", "a"))
        two.submit(request("same", "b b b"))
        assert [c.prompt_tokens for c in drain(one)] == [1]
        assert [c.prompt_tokens for c in drain(two)] == [3]

    def test_one_closed_early_leaves_the_other_whole(self, make_pool: MakePool) -> None:
        pool = make_pool(max_batch_size=2)
        one, two = pool.open(), pool.open()
        for number in range(5):
            one.submit(request(f"one-{number}"))
            two.submit(request(f"two-{number}"))
        one.step()
        one.close()
        one.close()
        assert one.running == 0
        assert one.step() == []
        assert sorted(c.request_id for c in drain(two)) == [f"two-{number}" for number in range(5)]
        assert pool.executor.room == 8

    def test_a_full_line_of_another_does_not_stop_a_session_for_ever(
        self, make_pool: MakePool
    ) -> None:
        """spaCy chains components by pulling: the first waits while the second works."""
        pool = make_pool(max_batch_size=1)
        one, two = pool.open(), pool.open()
        for number in range(20):
            one.submit(request(f"one-{number}"))
        assert pool.executor.room == 0
        assert two.room == 1
        two.submit(request("two"))
        assert two.room == 0
        assert [c.request_id for c in drain(two)] == ["two"]
        assert len(drain(one)) == 20

    def test_an_unusable_generator_can_still_be_closed(
        self, make_pool: MakePool, tiny: LoadedModel
    ) -> None:
        pool = make_pool(Allergic(tiny.model, 67, KeyboardInterrupt()))  # type: ignore[arg-type]
        session = pool.open()
        session.submit(request("a", [67]))
        with pytest.raises(KeyboardInterrupt):
            session.step()
        session.close()


class TestRequestsThatCannotBeServed:
    def test_a_prompt_without_a_token(self, make_pool: MakePool) -> None:
        session = make_pool().open()
        session.submit(request("a", ""))
        session.submit(request("b", []))
        first, second = drain(session)
        assert isinstance(first.error, EmptyPrompt)
        assert str(second.error) == (
            "The prompt is empty: it encodes to no token. Give it some text."
        )

    def test_a_prompt_longer_than_the_context_names_both_lengths(self, make_pool: MakePool) -> None:
        session = make_pool(max_seq_len=20).open()
        session.submit(request("fits", [7] * 19))
        session.submit(request("full", [7] * 20))
        session.submit(request("over", [7] * 4711))
        done = {c.request_id: c for c in drain(session)}
        assert done["fits"].error is None
        assert isinstance(done["full"].error, PromptTooLong)
        assert str(done["over"].error) == (
            "The prompt has 4711 tokens and the model's context holds 20, of which at least 1 "
            "must stay free for the answer. Shorten the text or use a model with a longer context."
        )

    @pytest.mark.parametrize("token", [640, -1, 2**70, "a", None, True, 1.0])
    def test_a_token_that_the_model_does_not_have(self, make_pool: MakePool, token: object) -> None:
        session = make_pool().open()
        session.submit(request("a", [5, token]))
        (done,) = drain(session)
        assert str(done.error) == (
            f"The prompt holds the token id {token!r}, and the model's ids are the integers from 0 "
            "to 639. Encode the text with this model's own tokenizer."
        )

    def test_a_text_that_is_no_unicode(self, make_pool: MakePool) -> None:
        session = make_pool().open()
        session.submit(request("a", "half a pair: \ud83d"))
        session.submit(request("b", "whole"))
        done = {c.request_id: c for c in drain(session)}
        assert isinstance(done["a"].error, PromptNotEncoded)
        assert done["b"].error is None

    def test_a_constraint_is_bound_to_the_vocabulary_for_each_sample(
        self, make_pool: MakePool, tiny: LoadedModel
    ) -> None:
        pool = make_pool()
        vocabularies: list[Vocabulary] = []

        class Bound:
            def allowed(self, output_ids: Sequence[int]) -> None:
                return None

        class Free:
            def bind(self, vocabulary: Vocabulary) -> Bound:
                vocabularies.append(vocabulary)
                return Bound()

        free = cast("Constraint", Free())
        request = GenerationRequest("a", "Ada", SamplingParams(n=2), constraint=free)
        first, second = pool.sequences(request)
        assert first.constraint is not second.constraint
        assert vocabularies == [pool.vocabulary] * 2
        ids = pool.vocabulary.encode("Ada <|im_end|>")
        pieces = [pool.vocabulary.token_bytes[i] for i in ids]
        assert b"".join(pieces).decode().strip() == "Ada <|im_end|>"
        specials = set(tiny.tokenizer.all_special_ids)
        assert all(pool.vocabulary.token_bytes[i] == b"" for i in specials)

    def test_the_others_go_on_where_the_model_fails(
        self, make_pool: MakePool, tiny: LoadedModel
    ) -> None:
        session = make_pool(Allergic(tiny.model, 639, RuntimeError("no"))).open()
        session.submit(request("bad", [5, 639], n=2))
        session.submit(request("good", [5, 6], n=2))
        done = {(c.request_id, c.sample): c for c in drain(session)}
        assert set(done) == {(name, sample) for name in ("bad", "good") for sample in (0, 1)}
        assert str(done["bad", 1].error) == "Generation failed: no"
        assert done["bad", 1].prompt_tokens == 2
        assert done["good", 1].error is None


class TestCompletions:
    def test_figures(self, make_pool: MakePool) -> None:
        session = make_pool().open()
        session.submit(request("a", chat("Who found it?"), max_new_tokens=20))
        session.submit(request("b", chat("Who found it?"), max_new_tokens=4, echo=True, logprobs=2))
        whole, part = sorted(drain(session), key=lambda c: c.request_id)
        assert (whole.text, whole.finish_reason) == ("Omar Haddad", "stop")
        assert len(whole.token_ids) == len(whole.logprobs) == 6
        assert whole.output_tokens == 7, "the end-of-sequence token was generated, too"
        assert whole.stop_logprob is not None
        assert whole.stop_logprob <= 0
        assert part.stop_logprob is None, "it did not stop by itself"
        assert (whole.prompt_token_ids, whole.prompt_logprobs, whole.top_logprobs) == ((), (), ())
        assert (part.text, part.finish_reason) == ("Omar Had", "length")
        assert len(part.prompt_token_ids) == len(part.prompt_logprobs) == part.prompt_tokens == 79
        assert [alternatives[0].text for alternatives in part.top_logprobs] == [
            "O",
            "mar",
            " H",
            "ad",
        ]
        assert [a[0].logprob for a in part.top_logprobs] == pytest.approx(list(part.logprobs))

    @settings(max_examples=12, deadline=None)
    @given(start=st.integers(0, 38), size=st.integers(1, 9))
    def test_a_completion_ends_before_its_stop_string(
        self, llama: Llama, encoder: PromptEncoder, start: int, size: int
    ) -> None:
        full = "Omar Haddad and Delta Motors: a data server"
        stop = full[start : start + size]
        (done,) = llama.generate([chat("Summarize the document.")], max_new_tokens=18, stop=[stop])
        assert done.text == full[: full.index(stop)]
        assert done.finish_reason == "stop"
        pieces = [encoder.token_bytes(token).decode() for token in done.token_ids]
        assert "".join(pieces).startswith(done.text)
        assert len("".join(pieces[:-1])) < len(done.text) or not pieces, "a token too many"
        assert len(done.logprobs) == len(pieces)

    def test_the_first_of_several_stop_strings(self, llama: Llama) -> None:
        stop = ["Motors", "and Delta", "Delta Motors"]
        (done,) = llama.generate([chat("Summarize the document.")], max_new_tokens=18, stop=stop)
        assert done.text == "Omar Haddad "

    def test_a_stop_string_in_the_prompt_stops_nothing(self, llama: Llama) -> None:
        (done,) = llama.generate([chat("Who found it?")], max_new_tokens=18, stop=["Question"])
        assert done.text == "Omar Haddad"
