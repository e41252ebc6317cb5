"""What people think of a run's rows: read from files, checked, and brought into the run."""

from nlp_pipeline.reviews.run_review import review_run as review_run
