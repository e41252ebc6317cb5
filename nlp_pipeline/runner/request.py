"""What a run is asked for, whom it tells how it goes, and what it gives back."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field, fields
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from nlp_pipeline.corpus.documents.conversion_settings import ConversionSettings
from nlp_pipeline.errors.cluster import ObjectStorePath, OptionNeedsRay, UnknownExecutor
from nlp_pipeline.errors.run import InvalidTimeout, TimeoutNeedsWorkers, WorkersUnsupported
from nlp_pipeline.pipeline import PipelineSpec
from nlp_pipeline.run_folder.error_limit import ErrorLimit
from nlp_pipeline.runner.limits import MAX_SECONDS, check_numbers
from nlp_pipeline.runner.tracking_uri import check_tracking_uri

if TYPE_CHECKING:
    from nlp_pipeline.run_folder.files import Format

_OBJECT_STORE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)")
"""`s3://bucket/run`, of which a `Path` keeps one slash; a drive has one letter."""

EXECUTORS = ("local", "ray")
"""Who can compute the parts of a run."""

PART_SIZE = 256
"""Documents in a part: what an interrupted run has to do again at most."""


class Progress(Protocol):
    """Is told how a run goes. The command line draws a bar; tests and callers need none."""

    def start(self, total: int | None, done: int) -> None:
        """The run begins: documents in all (None if unknown), and those done before."""
        ...

    def document(self, *, failed: bool, output_tokens: int) -> None:
        """One more document is done."""
        ...

    def warn(self, message: str) -> None:
        """The reader noticed something that is no error."""
        ...


class Silent:
    """Progress that is shown to nobody."""

    def start(self, total: int | None, done: int) -> None:
        """Does nothing."""

    def document(self, *, failed: bool, output_tokens: int) -> None:
        """Does nothing."""

    def warn(self, message: str) -> None:
        """Does nothing."""


UNIT_TIMEOUT_S = 1800.0
"""A document may take minutes where its answers are long and the model computes on a CPU."""


@dataclass(frozen=True)
class ClusterOptions:
    """Where the executor `ray` computes, and in what pieces.

    Attributes:
        address: Of the cluster, `host:port` or `auto`; None takes `RAY_ADDRESS`, or starts Ray on
            this machine where that is not set.
        actors: How many; None for one a GPU, or one a machine where there are none.
        gpus_per_actor: None for 1 where there are GPUs. Several share one model.
        cpus_per_actor: None for an equal share of a machine's, one left free.
        unit_timeout: Seconds without a finished document after which an actor is ended.
    """

    address: str | None = None
    actors: int | None = None
    gpus_per_actor: int | None = None
    cpus_per_actor: int | None = None
    unit_timeout: float = UNIT_TIMEOUT_S


@dataclass(frozen=True)
class RunRequest:
    """What to run over which corpus and where the tables go.

    Attributes:
        corpus: A file, a folder, a pattern, a URL, or `-` for standard input.
        out: The run's folder.
        pipeline: The pipeline and its overrides.
        text_key: The field or column that holds the text.
        id_key: The one that holds the id.
        query: What is read of a corpus that is a database.
        further_sources: What is read after the corpus.
        allow_private: Whether a URL may lead into the own network, or be redirected elsewhere.
        conversion: How PDFs and the like become text, and what a file may cost.
        limit: Only so many records, from the first.
        max_length: Longer texts become error records; in code points.
        n_process: Worker processes for the linguistic pipes; 1 runs them in a thread of this one,
            where the Llama always stays. None takes several where the Llama is on a GPU, else 1.
        document_timeout: Seconds that a worker process may take for a document; None for any time.
            A batch that takes longer is tried again one document at a time.
        batch_size: Documents handed to spaCy at a time; the pipeline's own by default.
        format: Of the tables on disk.
        part_size: Documents in a part.
        fresh: Throw away the run that the folder holds.
        retry: Try documents again that failed when an earlier process had them.
        on_error: `stop` ends the run at the first document that fails.
        max_errors: Ends the run when more documents have failed, `"10"`, or a larger share of
            them, `"5%"`; both are counted from the start of this process.
        otel: Whether OpenTelemetry is told of the run.
        mlflow: Where MLflow keeps the run: a folder, a database or a server; None for nowhere.
        executor: `local`, this process, or `ray`, the actors of a Ray cluster.
        cluster: Of the executor `ray`.
    """

    corpus: str
    out: Path
    pipeline: PipelineSpec = field(default_factory=lambda: PipelineSpec("en_qa_summary"))
    text_key: str = "text"
    id_key: str = "id"
    query: str | None = None
    further_sources: tuple[str, ...] = ()
    allow_private: bool = False
    conversion: ConversionSettings = ConversionSettings()  # noqa: RUF009  # frozen
    limit: int | None = None
    max_length: int = 100_000
    n_process: int | None = None
    document_timeout: float | None = None
    batch_size: int | None = None
    format: Format = "parquet"
    part_size: int = PART_SIZE
    fresh: bool = False
    retry: bool = True
    on_error: Literal["continue", "stop"] = "continue"
    max_errors: str | None = None
    otel: bool = False
    mlflow: str | None = None
    executor: Literal["local", "ray"] = "local"
    cluster: ClusterOptions = ClusterOptions()

    def check_limits(self) -> None:
        """Checks the limits, before anything is loaded.

        Raises:
            UnknownExecutor: There is no such executor.
            OptionNeedsRay: An option of a cluster without one.
            ObjectStorePath: The folder is an object store.
            TrackingUriMistaken: `mlflow` is no address.
            InvalidMaxErrors: `max_errors` is no limit.
            InvalidNumber: A number is out of its range.
            InvalidTimeout: `document_timeout` is no time.
            TimeoutNeedsWorkers: There is a time limit and no process that could be ended.
            WorkersUnsupported: This platform cannot keep its interrupts from worker processes.
        """
        if self.executor not in EXECUTORS:
            raise UnknownExecutor(self.executor, EXECUTORS)
        self._check_cluster()
        if address := _OBJECT_STORE.match(str(self.out)):
            raise ObjectStorePath(f"{address[1]}://{address[2]}")
        if self.mlflow is not None:
            check_tracking_uri(self.mlflow)
        ErrorLimit(self.max_errors)
        check_numbers(self)
        workers = 1 if self.n_process is None else self.n_process
        if workers > 1 and sys.platform == "win32":
            raise WorkersUnsupported(workers)
        seconds = self.document_timeout
        if seconds is None:
            return
        _check_seconds("document_timeout", seconds)
        if workers < 2:
            raise TimeoutNeedsWorkers(seconds)

    def _check_cluster(self) -> None:
        default = ClusterOptions()
        for option in fields(ClusterOptions):
            is_set = getattr(self.cluster, option.name) != getattr(default, option.name)
            if is_set and self.executor != "ray":
                raise OptionNeedsRay(option.name)
        _check_seconds("unit_timeout", self.cluster.unit_timeout)


def _check_seconds(name: str, seconds: float) -> None:
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not (is_number and 0 < seconds <= MAX_SECONDS):
        raise InvalidTimeout(seconds, MAX_SECONDS, name)


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        out: The run's folder.
        documents: Records in the corpus, rejects counted.
        failed: How many of them have the status `error`.
        output_tokens: Tokens generated.
        seconds: Of this process; a resumed run's earlier processes are not counted.
        resumed: Documents that an earlier process had done and whose rows stay.
    """

    out: Path
    documents: int
    failed: int
    output_tokens: int
    seconds: float
    resumed: int

    def _repr_html_(self) -> str:
        """The figures as a table, for notebooks."""
        facts = {
            "run": str(self.out),
            "documents": f"{self.documents:,}",
            "failed": f"{self.failed:,}",
            "output tokens": f"{self.output_tokens:,}",
            "seconds": f"{self.seconds:,.1f}",
            **({"resumed": f"{self.resumed:,}"} if self.resumed else {}),
        }
        rows = "".join(
            f'<tr><th style="text-align:left">{name}</th><td>{escape(value)}</td></tr>'
            for name, value in facts.items()
        )
        return f"<table>{rows}</table>"
