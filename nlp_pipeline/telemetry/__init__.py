"""What a run tells the observability tools of whoever asks for it; by itself it tells nobody."""

from nlp_pipeline.telemetry.observers import observed as observed
from nlp_pipeline.telemetry.run_observer import RunObserver as RunObserver
