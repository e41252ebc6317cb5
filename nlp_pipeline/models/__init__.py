"""The model cache: which models are known, where they lie, how they are fetched and checked.

Nothing here loads a model, and nothing here imports torch, transformers or spaCy.
"""

from nlp_pipeline.models.cache import CachedModel as CachedModel
from nlp_pipeline.models.cache import ModelStatus as ModelStatus
from nlp_pipeline.models.cache import cache_dir as cache_dir
from nlp_pipeline.models.cache import cached_model as cached_model
from nlp_pipeline.models.cache import cached_models as cached_models
from nlp_pipeline.models.cache import cached_path as cached_path
from nlp_pipeline.models.cache import verify as verify
from nlp_pipeline.models.digests import digest as digest
from nlp_pipeline.models.digests import file_digests as file_digests
from nlp_pipeline.models.download import pip_download as pip_download
from nlp_pipeline.models.fetcher import fetch as fetch
from nlp_pipeline.models.known import DEFAULT_MODEL as DEFAULT_MODEL
from nlp_pipeline.models.known import KNOWN_MODELS as KNOWN_MODELS
from nlp_pipeline.models.known import KnownModel as KnownModel
from nlp_pipeline.models.known import known_model as known_model
from nlp_pipeline.models.known_adapters import AUTO as AUTO
from nlp_pipeline.models.known_adapters import KNOWN_ADAPTERS as KNOWN_ADAPTERS
from nlp_pipeline.models.known_adapters import KnownAdapter as KnownAdapter
from nlp_pipeline.models.known_adapters import adapter_folder as adapter_folder
from nlp_pipeline.models.known_adapters import adapter_name as adapter_name
from nlp_pipeline.models.location import offline as offline
from nlp_pipeline.models.resolved_model import ResolvedModel as ResolvedModel
from nlp_pipeline.models.resolved_model import resolve as resolve
from nlp_pipeline.models.trained_settings import trained_settings as trained_settings
