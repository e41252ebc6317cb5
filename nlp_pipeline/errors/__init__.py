"""The exception tree and every message of the package, one module per room."""

from nlp_pipeline.errors.base import NlpPipelineError as NlpPipelineError
from nlp_pipeline.errors.base import Stage as Stage
from nlp_pipeline.errors.corpus import *  # noqa: F403
from nlp_pipeline.errors.file_formats import *  # noqa: F403
from nlp_pipeline.errors.generation import *  # noqa: F403
from nlp_pipeline.errors.records import *  # noqa: F403
