"""Named pipelines: a spaCy config with the user's overrides, to a `Language` and its two halves."""

from nlp_pipeline.pipeline.adapter_settings import suit_adapter as suit_adapter
from nlp_pipeline.pipeline.code_files import code_digests as code_digests
from nlp_pipeline.pipeline.code_files import execute_code as execute_code
from nlp_pipeline.pipeline.configs import PipelineSpec as PipelineSpec
from nlp_pipeline.pipeline.configs import model_names as model_names
from nlp_pipeline.pipeline.configs import pipeline_names as pipeline_names
from nlp_pipeline.pipeline.configs import resolve_config as resolve_config
from nlp_pipeline.pipeline.configs import shared_place as shared_place
from nlp_pipeline.pipeline.language import build as build
from nlp_pipeline.pipeline.language import generators as generators
from nlp_pipeline.pipeline.language import is_llama as is_llama
from nlp_pipeline.pipeline.language import load_pipeline as load_pipeline
from nlp_pipeline.pipeline.language import split as split
from nlp_pipeline.pipeline.language_note import language_note as language_note
from nlp_pipeline.pipeline.spacy_sources import TRAINED as TRAINED
from nlp_pipeline.pipeline.spacy_sources import recorded_config as recorded_config
from nlp_pipeline.pipeline.spacy_sources import source_digests as source_digests
