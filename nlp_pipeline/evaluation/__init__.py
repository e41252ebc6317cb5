"""How good a run is, measured against what the corpus says is right."""

from nlp_pipeline.evaluation.evaluate import evaluate_run as evaluate_run
