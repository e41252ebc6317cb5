"""What a collector of OpenTelemetry receives of a run: by HTTP, in its own format."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nlp_pipeline import run

TEXTS = ("Ada left.", "It is UNSPEAKABLE.", "Karl came.")


class Collector(ThreadingHTTPServer):
    """Takes what is posted, or refuses it.

    Attributes:
        bodies: What came, by path.
        status: What it answers.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: dict[str, list[bytes]] = {}
        self.headers: list[str | None] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.setdefault(self.path, []).append(body)
        self.server.headers.append(self.headers.get("X-Team"))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    pytest.importorskip(
        "opentelemetry.exporter.otlp.proto.http", reason="the extra otel is missing"
    )
    server = Collector()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=nlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "5")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "letters")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def values(attributes: Any) -> dict[str, Any]:
    """Attributes by name, each the one field of its value that is set."""
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


def test_a_collector_receives_the_span_and_the_metrics(
    collector: Collector, corpus: Any, quick: Any, tmp_path: Path
) -> None:
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
    )
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    result = run(corpus(*TEXTS), tmp_path / "out", pipeline=quick(), otel=True)
    assert set(collector.bodies) == {"/v1/traces", "/v1/metrics"}
    assert set(collector.headers) == {"nlp"}

    (body,) = collector.bodies["/v1/traces"]
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert values(resource.resource.attributes)["service.name"] == "letters"
    (span,) = resource.scope_spans[0].spans
    facts = values(span.attributes)
    assert span.name == "nlp_pipeline.run"
    assert span.end_time_unix_nano > span.start_time_unix_nano
    assert (facts["nlp_pipeline.documents"], facts["nlp_pipeline.failed"]) == (3, 1)
    assert facts["nlp_pipeline.generator.0.backend"] == "echo"
    assert b"Ada" not in body

    (resource,) = ExportMetricsServiceRequest.FromString(
        collector.bodies["/v1/metrics"][-1]
    ).resource_metrics
    points = {
        (metric.name, values(point.attributes).get("status")): point
        for metric in resource.scope_metrics[0].metrics
        for point in getattr(metric, metric.WhichOneof("data")).data_points
    }
    assert points["nlp_pipeline.documents", "ok"].as_int == 2
    assert points["nlp_pipeline.documents", "error"].as_int == 1
    assert points["nlp_pipeline.output_tokens", None].as_int == result.output_tokens
    assert points["nlp_pipeline.documents_per_second", None].as_double > 0


@pytest.mark.parametrize("state", ["refuses", "gone"])
def test_no_run_ends_for_a_collector_that_takes_nothing(
    collector: Collector,
    state: str,
    corpus: Any,
    quick: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    collector.status = 400
    if state == "gone":
        collector.server_close()
    result = run(corpus(*TEXTS), tmp_path / "out", pipeline=quick(), otel=True)
    assert (result.documents, result.failed) == (3, 1)
