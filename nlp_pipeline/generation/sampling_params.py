"""How tokens are chosen and when a completion ends: checked where it is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from nlp_pipeline.errors import InvalidSamplingParams
from nlp_pipeline.generation.setting_fields import count, integer, setting, wrong_values

MAX_NUM_BEAMS = 64
"""The widest beam search that can be asked for."""

NUMBER = (int, float)


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How the next token is chosen and when to stop.

    Attributes:
        max_new_tokens: At most so many tokens are generated; at least 1.
        temperature: 0 is greedy; above 0 divides the logits before sampling.
        top_p: Nucleus: keep the smallest set of tokens with this probability; in (0, 1].
        top_k: Keep the k likeliest tokens; 0 keeps all.
        min_p: Keep tokens at least this fraction as likely as the likeliest; in [0, 1].
        repetition_penalty: Above 1 makes tokens of the prompt and the answer less likely.
        stop: Texts that end the completion; the text found is not part of it.
        seed: The same request with the same seed gives the same sample in any batch.
        logprobs: So many top alternatives per token are returned; 0 returns none. The chosen
            token's own log-probability always is.
        echo: Return the prompt's tokens with their log-probabilities too.
        n: How many independent samples; sample i uses `seed + i`.
        num_beams: Above 1: the best completion that a beam search of this width finds, by the
            sum of log-probabilities. Only greedy, one sample, without `stop`, `logprobs`, `echo`.
        length_penalty: Beams compare their sums over length to this power; 0 leaves the sums.
        num_hypotheses: So many of the hypotheses that a search has ended come back with the best
            one (`Completion.hypotheses`); no further work is done for them.

    Raises:
        InvalidSamplingParams: A value is out of its range or of the wrong type.
    """

    max_new_tokens: int = count(default=64)
    temperature: float = setting(
        NUMBER, "a number of at least 0", lambda v: 0 <= v < float("inf"), 0.0
    )
    top_p: float = setting(NUMBER, "a number above 0 and at most 1", lambda v: 0 < v <= 1, 1.0)
    top_k: int = setting(int, "an integer of at least 0 (0 keeps all tokens)", lambda v: v >= 0, 0)
    min_p: float = setting(NUMBER, "a number from 0 to 1", lambda v: 0 <= v <= 1, 0.0)
    repetition_penalty: float = setting(
        NUMBER, "a number above 0", lambda v: 0 < v < float("inf"), 1.0
    )
    stop: tuple[str, ...] = ()
    seed: int = setting(int, "an integer from 0 to 2**63 - 1", lambda v: 0 <= v < 2**63, 1)
    logprobs: int = integer(0, 100, 0)
    echo: bool = setting(bool, "true or false", default=False)
    n: int = integer(1, 256, 1)
    num_beams: int = integer(1, MAX_NUM_BEAMS, 1)
    length_penalty: float = setting(
        NUMBER, "a number from -10 to 10", lambda v: -10 <= v <= 10, 1.0
    )
    num_hypotheses: int = integer(1, 256, 1)

    def __post_init__(self) -> None:
        for wrong in wrong_values(self):
            raise InvalidSamplingParams(wrong.name, wrong.value, wrong.allowed)
        object.__setattr__(self, "stop", _texts(self.stop))
        if self.num_beams > 1:
            for name, plain in _SEARCHED.items():
                if getattr(self, name) != plain:
                    raise InvalidSamplingParams(
                        name, getattr(self, name), f"{plain!r} with num_beams={self.num_beams}"
                    )

    @property
    def chosen(self) -> frozenset[str]:
        """The names of those that are not at their defaults."""
        return frozenset(f.name for f in fields(self) if getattr(self, f.name) != f.default)

    @property
    def greedy(self) -> bool:
        """Whether the likeliest token is always taken."""
        return self.temperature == 0


def _texts(stop: Any) -> tuple[str, ...]:
    """The stop strings as a tuple; a bare text is refused, which would become its letters."""
    texts = None if isinstance(stop, str) or not isinstance(stop, Iterable) else tuple(stop)
    if texts is None or not all(isinstance(text, str) and text for text in texts):
        raise InvalidSamplingParams("stop", stop, "a list of non-empty strings")
    return texts


_SEARCHED: dict[str, Any] = {
    "temperature": 0,
    "repetition_penalty": 1,
    "n": 1,
    "stop": (),
    "logprobs": 0,
    "echo": False,
}
"""What a beam search leaves no choice of."""
