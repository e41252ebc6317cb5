"""`nlp-pipeline report`: a run as one HTML page to look through."""

from nlp_pipeline.report.page_writer import write_report

__all__ = ["write_report"]
