"""Golden-output regression tests: record what a pipeline gives, and check that it still does.

A golden output is a folder that is kept under version control: `golden.json` says how it was
made, and one JSON Lines file a table holds the rows. Three ways in:

- `nlp-pipeline golden record CORPUS -p PIPELINE -d DIR` and `nlp-pipeline golden check DIR`
- the pytest fixture `golden`, there as soon as this package is installed: see `fixture`
- `record`, `check` and `check_frames` of this module

Every text, integer, boolean and null must be equal, in equal rows in equal order; numbers with a
fraction may differ by the tolerance that `golden.json` states.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlp_pipeline.golden.checker import check as check
    from nlp_pipeline.golden.checker import check_frames as check_frames
    from nlp_pipeline.golden.recorder import record as record

_WHERE = {
    "check": "nlp_pipeline.golden.checker",
    "check_frames": "nlp_pipeline.golden.checker",
    "record": "nlp_pipeline.golden.recorder",
}
__all__ = [*sorted(_WHERE)]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'nlp_pipeline.golden' has no attribute '{name}'")
    return getattr(import_module(_WHERE[name]), name)
