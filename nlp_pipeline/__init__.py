"""spaCy annotation and answers from a local Llama for every document of a corpus, as tables.

The public names are imported when they are first used: `import nlp_pipeline` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlp_pipeline.comparison import compare_runs as compare_runs
    from nlp_pipeline.corpus import read_corpus as read_corpus
    from nlp_pipeline.evaluation import evaluate_run as evaluate_run
    from nlp_pipeline.generation.chat import Chat as Chat
    from nlp_pipeline.generation.chat import Message as Message
    from nlp_pipeline.generation.interface import SamplingParams as SamplingParams
    from nlp_pipeline.generation.llama import Llama as Llama
    from nlp_pipeline.reviews import review_run as review_run
    from nlp_pipeline.run_folder.read import read_run as read_run
    from nlp_pipeline.runner.ask import ask as ask
    from nlp_pipeline.runner.async_row_stream import astream as astream
    from nlp_pipeline.runner.row_stream import stream as stream
    from nlp_pipeline.runner.run import retry as retry
    from nlp_pipeline.runner.run import run as run
    from nlp_pipeline.runner.run_estimate import estimate as estimate
    from nlp_pipeline.tables import to_frames as to_frames

__version__ = "0.1.0"

_WHERE = {
    "ask": "nlp_pipeline.runner.ask",
    "astream": "nlp_pipeline.runner.async_row_stream",
    "compare_runs": "nlp_pipeline.comparison",
    "Chat": "nlp_pipeline.generation.chat",
    "Llama": "nlp_pipeline.generation.llama",
    "Message": "nlp_pipeline.generation.chat",
    "SamplingParams": "nlp_pipeline.generation.interface",
    "estimate": "nlp_pipeline.runner.run_estimate",
    "evaluate_run": "nlp_pipeline.evaluation",
    "read_corpus": "nlp_pipeline.corpus",
    "read_run": "nlp_pipeline.run_folder.read",
    "retry": "nlp_pipeline.runner.run",
    "review_run": "nlp_pipeline.reviews",
    "run": "nlp_pipeline.runner.run",
    "stream": "nlp_pipeline.runner.row_stream",
    "to_frames": "nlp_pipeline.tables",
}
__all__ = [*sorted(_WHERE), "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'nlp_pipeline' has no attribute '{name}'")
    return getattr(import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return __all__
