"""A GGUF file as it is, packed, by llama.cpp in this process: for models that fit no other way.

A pipeline's config names it in place of the in-process Llama:

    [components.llama_qa.generator]
    @llama_generators = "nlp_pipeline.llama_cpp.v1"
    model = "models/Llama-3.1-8B-Instruct-Q4_K_M.gguf"

Needs the extra `llama-cpp`. llama.cpp's own server runs in this process and listens on this
machine alone, with a key that nobody else knows; requests go to it as to any other server
(`backends/server`), so what holds there holds here. Its arithmetic is rounded, to the bits of the
file and of its activations: answers are close to those of the same file unpacked, not equal.
"""

from nlp_pipeline.generation.backends.llama_cpp.packed_generator import BACKEND as BACKEND
from nlp_pipeline.generation.backends.llama_cpp.packed_generator import (
    LlamaCppGenerator as LlamaCppGenerator,
)
from nlp_pipeline.generation.backends.llama_cpp.packed_settings import (
    LlamaCppSettings as LlamaCppSettings,
)
