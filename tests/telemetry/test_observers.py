"""What OpenTelemetry and MLflow are told of a run: nothing, unless they are asked for."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from nlp_pipeline import read_run, run
from nlp_pipeline.errors.run import TooManyErrors
from nlp_pipeline.errors.telemetry import TelemetryNotInstalled, TrackingUriMistaken
from nlp_pipeline.runner.tracking_uri import check_tracking_uri
from nlp_pipeline.telemetry import observers, otel_observer
from nlp_pipeline.telemetry.run_observer import facts

TEXTS = ("Ada left.", "It is UNSPEAKABLE.", "Karl came.")


@pytest.fixture
def spans_and_metrics(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any]]:
    """OpenTelemetry's own exporter and reader in memory."""
    pytest.importorskip("opentelemetry.sdk", reason="the extra otel is missing")
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(shutdown_on_exit=False), MeterProvider([reader])
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(
        otel_observer, "otel_observer", lambda: otel_observer.OtelObserver(tracers, meters)
    )
    yield exporter, reader
    tracers.shutdown()
    meters.shutdown()


def points(reader: Any) -> dict[tuple[str, Any], float]:
    """The values of the metrics by name and status."""
    data = reader.get_metrics_data()
    (resource,) = data.resource_metrics
    return {
        (metric.name, point.attributes.get("status")): point.value
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


def test_a_run_is_a_span_with_metrics(
    spans_and_metrics: tuple[Any, Any], corpus: Any, quick: Any, tmp_path: Path
) -> None:
    exporter, reader = spans_and_metrics
    result = run(corpus(*TEXTS), tmp_path / "out", pipeline=quick(), otel=True)
    (span,) = exporter.get_finished_spans()
    assert span.name == "nlp_pipeline.run"
    assert span.status.is_unset or span.status.is_ok
    attributes = span.attributes
    assert attributes["nlp_pipeline.documents"] == 3
    assert attributes["nlp_pipeline.failed"] == 1
    assert attributes["nlp_pipeline.output_tokens"] == result.output_tokens
    assert attributes["nlp_pipeline.generator.0.backend"] == "echo"
    assert attributes["nlp_pipeline.components.llama_qa.factory"] == '"llama_qa"'
    assert not any("Ada" in str(value) for value in attributes.values())
    values = points(reader)
    assert values["nlp_pipeline.documents", "ok"] == 2
    assert values["nlp_pipeline.documents", "error"] == 1
    assert values["nlp_pipeline.output_tokens", None] == result.output_tokens
    assert values["nlp_pipeline.documents_per_second", None] > 0


def test_a_run_that_ends_early_is_a_span_that_failed(
    spans_and_metrics: tuple[Any, Any], corpus: Any, quick: Any, tmp_path: Path
) -> None:
    exporter, _ = spans_and_metrics
    with pytest.raises(TooManyErrors):
        run(corpus(*TEXTS), tmp_path / "out", pipeline=quick(), otel=True, max_errors="0")
    (span,) = exporter.get_finished_spans()
    assert (span.status.is_ok, span.status.description) == (False, "TooManyErrors")


def test_nobody_is_told_by_default(
    spans_and_metrics: tuple[Any, Any], corpus: Any, quick: Any, tmp_path: Path
) -> None:
    exporter, reader = spans_and_metrics
    run(corpus(*TEXTS), tmp_path / "out", pipeline=quick())
    assert exporter.get_finished_spans() == ()
    assert reader.get_metrics_data() is None


def test_the_next_word_is_no_address_of_mlflow(
    tmp_path: Path, corpus: Callable[..., str], cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    corpus("Ada.")
    (tmp_path / "runs" / "a").mkdir(parents=True)
    for command, what in {
        "run --mlflow corpus.jsonl": "'corpus.jsonl' is the name of a file",
        "run --mlflow gone.csv.gz": "'gone.csv.gz' is the name of a file",
        "run --mlflow runs.db corpus.jsonl": "'runs.db' is the name of a file",
        "run --mlflow -p en_qa corpus.jsonl": "'-p' is an option",
        "run corpus.jsonl --mlflow=": "'' is nothing",
        "retry --mlflow runs": "'runs' is a folder in which MLflow has no runs",
    }.items():
        ended = cli(*command.split())
        assert ended.code == 1
        assert ended.err == (
            f"Error: --mlflow takes the address of MLflow, and {what}. Write it as "
            "--mlflow=ADDRESS: a folder for MLflow alone, a database such as sqlite:///runs.db, or "
            "the address of a tracking server.\n"
        )
    with pytest.raises(TrackingUriMistaken, match=r"'corpus\.jsonl' is the name of a file"):
        run("corpus.jsonl", "out", mlflow="corpus.jsonl")


def test_addresses_of_mlflow(tmp_path: Path) -> None:
    store = tmp_path / "mlruns"
    check_tracking_uri(str(store))
    (store / "0").mkdir(parents=True)
    (store / "0" / "meta.yaml").write_text("")
    uris = [store, tmp_path / "new", "http://127.0.0.1:5000", "sqlite:///runs.db", "databricks"]
    for uri in uris:
        check_tracking_uri(str(uri))


def test_a_run_of_mlflow(
    corpus: Any, quick: Any, tmp_path: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is missing")
    from mlflow import MlflowClient

    # A folder, which MLflow itself wants to be asked for: a database needs further packages.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store = (tmp_path / "mlruns").as_uri()
    out = tmp_path / "out"
    ended = cli("run", corpus(*TEXTS), "-p", quick(), "-o", out, "--mlflow", store)
    assert ended.code == 3, ended.err
    client = MlflowClient(tracking_uri=store)
    experiment = client.get_experiment_by_name("nlp_pipeline")
    assert experiment is not None
    (mlflow_run,) = client.search_runs([experiment.experiment_id])
    assert mlflow_run.info.status == "FINISHED"
    metrics, params = mlflow_run.data.metrics, mlflow_run.data.params
    assert (metrics["documents"], metrics["failed"]) == (3.0, 1.0)
    assert metrics["documents_per_second"] > 0
    assert params["generator.0.backend"] == "echo"
    assert params["components.llama_qa.factory"] == '"llama_qa"'


class Broken:
    """An observer whose server has gone."""

    def begin(self, manifest: Any) -> None:
        raise ConnectionError("gone")

    def document(self, **_: Any) -> None:
        raise AssertionError

    end = close = document


def test_no_run_ends_for_an_observer(
    corpus: Any,
    quick: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole, broken = observers._Observers, cast("Any", Broken())
    monkeypatch.setattr(observers, "_Observers", lambda _: whole([broken]))
    with caplog.at_level(logging.WARNING, "nlp_pipeline"):
        run(corpus(*TEXTS), tmp_path / "out", pipeline=quick())
    assert len(read_run(tmp_path / "out")["documents"]) == 3
    assert [text for text in caplog.messages if "Broken" in text] == [
        "Broken is told nothing more of this run, which goes on: gone."
    ]


@pytest.mark.parametrize(
    ("option", "module", "command"),
    [
        ({"otel": True}, "opentelemetry", "pip install 'opentelemetry-sdk>=1.30,<2' 'opentele"),
        ({"mlflow": "mlruns"}, "mlflow", "pip install 'mlflow-skinny>=2.20,<4'"),
    ],
)
def test_what_to_install(
    corpus: Any,
    quick: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: dict[str, Any],
    module: str,
    command: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(TelemetryNotInstalled) as raised:
        run(corpus("Ada."), tmp_path / "out", pipeline=quick(), **option)
    assert command in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_neither_texts_nor_the_command_are_told() -> None:
    manifest = {
        "pipeline": "en_qa",
        "command": ["run", "secret.jsonl"],
        "corpus": "secret.jsonl",
        "inputs": {"secret.jsonl": "0"},
        "fingerprint": {"versions": {"spacy": "3.8"}, "components.a.b": "1" * 9000, "schema": 4},
    }
    told = dict(facts(manifest))
    assert "secret" not in str(told)
    assert told["version.spacy"] == "3.8"
    assert len(told["components.a.b"]) == 500
