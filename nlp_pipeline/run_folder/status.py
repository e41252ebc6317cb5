"""How a run stands: from its manifest and its receipts alone, also while it is going on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from nlp_pipeline.run_folder.folder import FINISHED
from nlp_pipeline.run_folder.journal import journals
from nlp_pipeline.run_folder.ledger import PreviousPart, retry_nothing
from nlp_pipeline.run_folder.lock import is_held
from nlp_pipeline.run_folder.read import finished_parts, run_manifest
from nlp_pipeline.run_folder.staging import sealed_parts

State = Literal["running", "interrupted", "finished"]


@dataclass(frozen=True)
class RunStatus:
    """How a run stands.

    Attributes:
        state: `running`: a process holds the folder; `interrupted`: none does and documents are
            missing; `finished`.
        total: Records of the corpus; None while they are not counted.
        done: Records that are safe: in finished parts, those ahead of others too, and in journals.
        ok: Of these, those without an error.
        failed: Those with one.
        left: Still to do; None while the total is not known.
        output_tokens: Tokens generated for those in finished parts.
        seconds: From the start of the latest process to its end, or to now; None if unknown.
        documents_per_second: Of the latest process, which counts only what it computed itself;
            None where that is not known.
        tokens_per_second: The same for generated tokens; None where an earlier process did some.
        nodes: Documents a second of each node of the latest process; empty where it was one
            machine.
    """

    state: State
    total: int | None
    done: int
    ok: int
    failed: int
    left: int | None
    output_tokens: int
    seconds: float | None
    documents_per_second: float | None
    tokens_per_second: float | None
    nodes: dict[str, float] = field(default_factory=dict)


def run_status(path: str | Path) -> RunStatus:
    """How the run in a folder stands.

    Raises:
        RunNotFound: The folder holds no run.
        ReceiptDamaged: A receipt is missing or cannot be read.
    """
    folder = Path(path)
    manifest = run_manifest(folder)
    receipts = finished_parts(folder, manifest)
    n_done, failed = receipts.totals.documents, receipts.totals.failed
    sealed = {n: part for n, part in sealed_parts(folder).items() if n >= len(receipts)}
    n_done += sum(part.documents for part in sealed.values())
    failed += sum(part.failed for part in sealed.values())
    for number in (n for n in journals(folder) if n not in sealed):
        size = manifest.get("fingerprint", {}).get("part_size", 1)
        receipt = receipts[number] if number < len(receipts) else None
        part = PreviousPart(
            folder, number, size, is_done=receipt is not None, retry_when=retry_nothing
        )
        if receipt and len(part.ledger) < receipt.documents:
            continue  # its ledger is damaged: the receipt is what is known
        more = _journaled(part)
        n_done += more[0] - (receipt.documents if receipt else 0)
        failed += more[1] - (receipt.failed if receipt else 0)
    state = _state(folder, manifest)
    total = n_done if state == "finished" else manifest.get("total")
    seconds = _seconds(manifest, state)
    tokens = receipts.totals.output_tokens
    n_kept = manifest.get("kept")
    computed = None if n_kept is None or manifest.get("again") else n_done - n_kept
    if state == "finished":
        counts = manifest.get("counts", {})
        n_kept = counts.get("resumed")
        computed = None if n_kept is None else n_done - n_kept
    return RunStatus(
        state=state,
        total=total,
        done=n_done,
        ok=n_done - failed,
        failed=failed,
        left=None if total is None else max(0, total - n_done),
        output_tokens=tokens,
        seconds=seconds,
        documents_per_second=computed / seconds if computed and seconds else None,
        tokens_per_second=tokens / seconds if n_kept == 0 and seconds else None,
        nodes=_node_rates(manifest),
    )


def _node_rates(manifest: Mapping[str, Any]) -> dict[str, float]:
    nodes = manifest.get("nodes", {})
    return {str(node): float(facts["documents_per_second"]) for node, facts in nodes.items()}


def _journaled(part: PreviousPart) -> tuple[int, int]:
    """Documents of a part that has a journal, done and failed.

    The journal of a finished part holds what is computed again: it counts in place of the old.
    """
    states = {offset: entry.state for offset, entry in enumerate(part.ledger)}
    states |= {offset: entry.state for offset, (entry, _) in part.journal.items()}
    return len(states), sum(state != "ok" for state in states.values())


def _state(folder: Path, manifest: dict[str, Any]) -> State:
    if manifest.get("state") == FINISHED:
        return "finished"
    return "running" if is_held(folder) else "interrupted"


def _seconds(manifest: dict[str, Any], state: State) -> float | None:
    if state == "finished":
        seconds = manifest.get("counts", {}).get("seconds")
        return None if seconds is None else float(seconds)
    if state == "running" and "started" in manifest:
        started = datetime.fromisoformat(manifest["started"])
        return (datetime.now(timezone.utc) - started).total_seconds()
    return None
