"""An OpenAI-compatible server (vLLM, llama.cpp, Ollama, SGLang, TGI) as generator.

A pipeline's config names it in place of the in-process Llama:

    [components.llama_qa.generator]
    @llama_generators = "nlp_pipeline.server.v1"
    base_url = "http://127.0.0.1:8000/v1"
    model = "meta-llama/Llama-3.2-1B-Instruct"

or the command line does, for any shipped pipeline:

    export OPENAI_API_KEY=…        # only where the server asks for a key
    nlp-pipeline run corpus.jsonl -p en_qa --set 'components.llama_qa.generator={
        "@llama_generators": "nlp_pipeline.server.v1", "base_url": "http://127.0.0.1:8000/v1"}'

Needs the extra `server`. The settings are described in `ServerSettings`. Documents leave this
machine if the server is on another one; only then, and never over plain http unless
`allow_plain_http` says so.

What differs from the in-process engine: a server promises neither the same answer in another
batch nor the same answer twice; token ids are only there where the server names them; prompts
given as token ids, beams and `echo` are refused; and the answer prefix of a template is left out
where the server would not go on from it. Of the constraints it obeys pieces of a document and
given texts where it takes grammars (`constrained_requests`), and JSON schemas.
"""

from nlp_pipeline.generation.backends.server.generator import BACKEND as BACKEND
from nlp_pipeline.generation.backends.server.generator import ServerGenerator as ServerGenerator
from nlp_pipeline.generation.backends.server.requests import REFUSED_PARAMS as REFUSED_PARAMS
from nlp_pipeline.generation.backends.server.settings import ServerSettings as ServerSettings
