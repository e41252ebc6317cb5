"""A run as a run of MLflow: the manifest as parameters, counts and rates as metrics."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from nlp_pipeline.errors.telemetry import TelemetryNotInstalled, TrackingFailed
from nlp_pipeline.telemetry.run_observer import facts

EXPERIMENT = "nlp_pipeline"
"""The experiment that the runs belong to, where `MLFLOW_EXPERIMENT_NAME` names none."""
METRICS_EVERY_S = 30.0
"""So often are the counts logged while a run goes on."""
_NOT_IN_NAMES = re.compile(r"[^\w .:/-]", re.ASCII)
_MOST_PARAMS = 100
"""MLflow takes so many at a time."""


class MlflowObserver:
    """Tells MLflow of a run. See `RunObserver`.

    Args:
        client: An `MlflowClient`.
        experiment: The id of the experiment.
    """

    def __init__(self, client: Any, experiment: str) -> None:
        self._client = client
        self._experiment = experiment
        self._run_id = ""
        self._counts = {"documents": 0, "failed": 0, "output_tokens": 0}
        self._logged_at = time.monotonic()

    def begin(self, manifest: Mapping[str, Any]) -> None:
        """Makes the run, with its parameters."""
        run = self._client.create_run(self._experiment, run_name=str(manifest.get("pipeline")))
        self._run_id = run.info.run_id
        params = iter(facts(manifest))
        while batch := list(islice(params, _MOST_PARAMS)):
            self._log(params=batch)

    def document(self, *, failed: bool, output_tokens: int) -> None:
        """Counts, and logs the counts now and then."""
        self._counts["documents"] += 1
        self._counts["failed"] += failed
        self._counts["output_tokens"] += output_tokens
        if time.monotonic() - self._logged_at >= METRICS_EVERY_S:
            self._logged_at = time.monotonic()
            self._log(metrics=self._counts.items(), step=self._counts["documents"])

    def end(self, figures: Mapping[str, float]) -> None:
        """Logs the figures of the end."""
        self._log(metrics=figures.items(), step=self._counts["documents"])

    def close(self, error: BaseException | None) -> None:
        """Ends the run, as one that failed where something has ended it."""
        if self._run_id:
            status = "FINISHED" if error is None else "FAILED"
            self._client.set_terminated(self._run_id, status=status)

    def _log(
        self,
        *,
        params: Iterable[tuple[str, str]] = (),
        metrics: Iterable[tuple[str, float]] = (),
        step: int = 0,
    ) -> None:
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)
        self._client.log_batch(
            self._run_id,
            metrics=[Metric(name, float(value), now, step) for name, value in metrics],
            params=[Param(_NOT_IN_NAMES.sub("", name), value) for name, value in params],
        )


def mlflow_observer(uri: str) -> MlflowObserver:
    """An observer whose runs are kept at an address of MLflow.

    Args:
        uri: A folder, `sqlite:///runs.db`, or the address of a server.

    Raises:
        TelemetryNotInstalled: A package is missing.
        TrackingFailed: MLflow cannot be used there.
    """
    try:
        from mlflow import MlflowClient
        from mlflow.environment_variables import MLFLOW_EXPERIMENT_NAME
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise TelemetryNotInstalled("--mlflow", "mlflow") from error
    name = MLFLOW_EXPERIMENT_NAME.get() or EXPERIMENT
    try:
        client = MlflowClient(tracking_uri=uri)
        experiment = client.get_experiment_by_name(name)
        return MlflowObserver(
            client, experiment.experiment_id if experiment else client.create_experiment(name)
        )
    except (MlflowException, OSError, ModuleNotFoundError) as error:
        raise TrackingFailed(uri, str(error)) from error
