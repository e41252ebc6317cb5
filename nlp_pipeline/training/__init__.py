"""Training a Llama on a corpus with references, by the prompts that it is asked with."""

from nlp_pipeline.training.train import train as train
from nlp_pipeline.training.training_settings import TrainingSettings as TrainingSettings
