"""A run's labels, objects or answers distilled into a spaCy component that is fast."""

from nlp_pipeline.distillation.distil import distil as distil
from nlp_pipeline.distillation.distil_settings import DistilSettings as DistilSettings
