"""A run as an OpenTelemetry span, its documents and tokens as metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nlp_pipeline.errors.telemetry import TelemetryNotInstalled
from nlp_pipeline.telemetry.run_observer import facts

SCOPE = "nlp_pipeline"
"""The name of the instrumentation, and of the service where nobody has set one."""
_NOT_THE_PROGRAMS = "transformers"
"""transformers 4 sets providers of its own as it is imported, and sends at the process' end."""


class OtelObserver:
    """Tells OpenTelemetry of a run. See `RunObserver`.

    The span `nlp_pipeline.run` has the manifest and the rates as attributes; the counters are
    `nlp_pipeline.documents` (with `status`) and `nlp_pipeline.output_tokens`, the gauge
    `nlp_pipeline.documents_per_second`.

    Args:
        tracer_provider: Makes the span.
        meter_provider: Takes the metrics.
        close: Sends what is left, and is called last.
    """

    def __init__(
        self, tracer_provider: Any, meter_provider: Any, close: Callable[[], None] | None = None
    ) -> None:
        self._tracer = tracer_provider.get_tracer(SCOPE)
        meter = meter_provider.get_meter(SCOPE)
        self._documents = meter.create_counter(f"{SCOPE}.documents", unit="{document}")
        self._tokens = meter.create_counter(f"{SCOPE}.output_tokens", unit="{token}")
        self._rate = meter.create_gauge(f"{SCOPE}.documents_per_second", unit="{document}/s")
        self._close = close
        self._span: Any = None

    def begin(self, manifest: Mapping[str, Any]) -> None:
        """Starts the span."""
        attributes = {f"{SCOPE}.{name}": value for name, value in facts(manifest)}
        self._span = self._tracer.start_span(f"{SCOPE}.run", attributes=attributes)

    def document(self, *, failed: bool, output_tokens: int) -> None:
        """Counts."""
        self._documents.add(1, {"status": "error" if failed else "ok"})
        self._tokens.add(output_tokens)

    def end(self, figures: Mapping[str, float]) -> None:
        """Adds the rates."""
        self._rate.set(figures["documents_per_second"])
        if self._span is not None:
            self._span.set_attributes({f"{SCOPE}.{name}": v for name, v in figures.items()})

    def close(self, error: BaseException | None) -> None:
        """Ends the span, as one that failed where something has ended the run."""
        from opentelemetry.trace import Status, StatusCode

        if self._span is not None:
            if error is not None:
                self._span.record_exception(error)
                self._span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            self._span.end()
        if self._close is not None:
            self._close()


def otel_observer() -> OtelObserver:
    """An observer with the providers of the program, or else with some that send by OTLP.

    Those are set up by OpenTelemetry's own environment variables, such as
    `OTEL_EXPORTER_OTLP_ENDPOINT`.

    Raises:
        TelemetryNotInstalled: A package is missing.
    """
    try:
        from opentelemetry import metrics, trace
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.trace import TracerProvider
    except ImportError as error:
        raise TelemetryNotInstalled("--otel", "otel") from error
    tracer_provider, meter_provider = trace.get_tracer_provider(), metrics.get_meter_provider()
    are_set = isinstance(tracer_provider, TracerProvider) and isinstance(
        meter_provider, MeterProvider
    )
    if are_set and _service_name(tracer_provider) != _NOT_THE_PROGRAMS:
        return OtelObserver(tracer_provider, meter_provider)
    return _sending_observer()


def _service_name(provider: Any) -> object:
    return provider.resource.attributes.get("service.name")


def _sending_observer() -> OtelObserver:
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise TelemetryNotInstalled("--otel", "otel") from error
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource({"service.name": SCOPE}).merge(OTELResourceDetector().detect())
    tracer_provider = TracerProvider(resource=resource)
    tracer_provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    meter_provider = MeterProvider([reader], resource=resource)

    def close() -> None:
        tracer_provider.shutdown()
        meter_provider.shutdown()

    return OtelObserver(tracer_provider, meter_provider, close)
