"""Two runs side by side: what is the same, what changed, and which one is better."""

from nlp_pipeline.comparison.comparison_page import write_comparison as write_comparison
from nlp_pipeline.comparison.run_comparison import RunComparison as RunComparison
from nlp_pipeline.comparison.run_comparison import compare_runs as compare_runs
