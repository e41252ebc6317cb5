"""The observers that a run is asked to have, from its beginning to its end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nlp_pipeline.errors.escapes import described
from nlp_pipeline.errors.telemetry import observer_failed
from nlp_pipeline.telemetry.run_observer import RunObserver

logger = logging.getLogger(__name__)


class _Observers:
    """Several observers as one; none at all is the default.

    One that fails, since its server has gone, is told nothing more: no run ends for it.
    """

    def __init__(self, observers: Iterable[RunObserver]) -> None:
        self._observers = list(observers)

    def begin(self, manifest: Mapping[str, Any]) -> None:
        self._tell(lambda observer: observer.begin(manifest))

    def document(self, *, failed: bool, output_tokens: int) -> None:
        self._tell(lambda observer: observer.document(failed=failed, output_tokens=output_tokens))

    def end(self, figures: Mapping[str, float]) -> None:
        self._tell(lambda observer: observer.end(figures))

    def close(self, error: BaseException | None) -> None:
        self._tell(lambda observer: observer.close(error))

    def _tell(self, message: Callable[[RunObserver], None]) -> None:
        for observer in list(self._observers):
            try:
                message(observer)
            except Exception as error:  # whatever the tools raise
                self._observers.remove(observer)
                name = type(observer).__name__.removesuffix("Observer")
                logger.warning(observer_failed(name, described(error)))


@contextmanager
def observed(*, otel: bool, mlflow: str | None) -> Iterator[RunObserver]:
    """The observers of a run, which are closed with the block.

    Args:
        otel: Whether OpenTelemetry is told of it.
        mlflow: Where MLflow keeps its runs: a folder, a database or a server; None for none.

    Raises:
        TelemetryNotInstalled: A package is missing.
        TrackingFailed: MLflow cannot be used there.
    """
    chosen: list[RunObserver] = []
    if otel:
        from nlp_pipeline.telemetry.otel_observer import otel_observer

        chosen.append(otel_observer())
    if mlflow is not None:
        from nlp_pipeline.telemetry.mlflow_observer import mlflow_observer

        chosen.append(mlflow_observer(mlflow))
    observers = _Observers(chosen)
    try:
        yield observers
    except BaseException as error:
        observers.close(error)
        raise
    observers.close(None)
