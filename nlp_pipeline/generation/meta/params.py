"""The `params.json` of a Meta checkpoint: what it says of the model, checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlp_pipeline.errors.meta import ParamsUnreadable

LLAMA_1_EPS = 1e-6
"""`norm_eps` of Llama 1; all later ones have 1e-5. Nothing else in the file tells 1 from 2."""

LLAMA_3_THETA = 500_000.0


@dataclass(frozen=True)
class MetaParams:
    """What `params.json` says; names and defaults are Meta's (`ModelArgs` of llama and llama3).

    Attributes:
        dim: Width of the hidden state.
        n_layers: Number of blocks.
        n_heads: Query heads.
        n_kv_heads: Key and value heads.
        vocab_size: None where the file leaves it to the tokenizer (it says -1).
        norm_eps: Added to the variance in RMSNorm.
        rope_theta: Base of the rotary frequencies.
        use_scaled_rope: Llama 3.1 and later: low frequencies are slowed down.
        rope_scaling_factor: By how much, where the file says so.
        max_seq_len: Positions, where the file says so.
    """

    dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: int
    vocab_size: int | None
    norm_eps: float
    rope_theta: float
    use_scaled_rope: bool
    rope_scaling_factor: float | None
    max_seq_len: int | None

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.dim // self.n_heads

    @property
    def context(self) -> int:
        """Positions that the model was made for, which the file seldom says.

        Published: Llama 1 2,048, Llama 2 4,096, Code Llama 16,384, Llama 3 8,192, later 131,072.
        """
        if self.max_seq_len is not None:
            return self.max_seq_len
        if self.use_scaled_rope:
            return 131_072
        if self.rope_theta == LLAMA_3_THETA:
            return 8_192
        if self.rope_theta > 10_000:
            return 16_384
        return 2_048 if self.norm_eps == LLAMA_1_EPS else 4_096

    def rope_scaling(self, *, tied: bool) -> dict[str, Any] | None:
        """The published scaling of the rotary frequencies, in Hugging Face's words.

        Args:
            tied: Whether the output head is the embedding: so are the models of Llama 3.2 (1B
                and 3B) and no others, and theirs is the factor 32; 3.1 and 3.3 have 8.
        """
        if not self.use_scaled_rope:
            return None
        return {
            "rope_type": "llama3",
            "factor": self.rope_scaling_factor or (32.0 if tied else 8.0),
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        }


def read_params(folder: Path) -> MetaParams:
    """Reads and checks a folder's `params.json`.

    Raises:
        ParamsUnreadable: It is missing, no JSON, lacks a value or has an impossible one.
    """
    values = _Values(folder)
    dim, n_heads = values.whole("dim"), values.whole("n_heads")
    n_kv_heads = values.whole("n_kv_heads", n_heads)
    if dim % n_heads or (dim // n_heads) % 2:
        raise values.fault(f"says dim={dim} and n_heads={n_heads}: dim/n_heads must be even")
    if n_heads % n_kv_heads:
        raise values.fault(f"says n_heads={n_heads} and n_kv_heads={n_kv_heads}: not a multiple")
    vocab_size = values.get("vocab_size")
    factor = values.get("rope_scaling_factor")
    return MetaParams(
        dim=dim,
        n_layers=values.whole("n_layers"),
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        vocab_size=None if vocab_size in (None, -1) else values.whole("vocab_size"),
        norm_eps=values.number("norm_eps", 1e-5),
        rope_theta=values.number("rope_theta", 10_000.0),
        use_scaled_rope=bool(values.get("use_scaled_rope")),
        rope_scaling_factor=None if factor is None else values.number("rope_scaling_factor"),
        max_seq_len=None if values.get("max_seq_len") is None else values.whole("max_seq_len"),
    )


class _Values:
    """The values of a `params.json`, with what is wrong with them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            values: Any = json.loads((folder / "params.json").read_bytes())
        except FileNotFoundError:
            raise self.fault("is missing") from None
        except OSError as error:
            raise self.fault(f"cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise self.fault(f"is no JSON ({error})") from error
        if not isinstance(values, dict):
            raise self.fault(f"holds a {type(values).__name__} and must hold an object")
        # Some fine-tuned checkpoints keep the model's values one level down.
        self._values = values["model"] if isinstance(values.get("model"), dict) else values

    def fault(self, reason: str) -> ParamsUnreadable:
        return ParamsUnreadable(str(self._folder), reason)

    def get(self, name: str) -> Any:
        return self._values.get(name)

    def whole(self, name: str, default: int | None = None) -> int:
        value = default if self.get(name) is None else self.get(name)
        if value is None:
            raise self.fault(f"has no {name}")
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.fault(f"says {name}={value!r}, which must be an integer of at least 1")
        return value

    def number(self, name: str, default: float | None = None) -> float:
        value = default if self.get(name) is None else self.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
            raise self.fault(f"says {name}={value!r}, which must be a number above 0")
        return float(value)
