"""Meta's own checkpoints: `consolidated.NN.pth`, `params.json` and `tokenizer.model`."""

from nlp_pipeline.generation.meta.checkpoint import MetaCheckpoint as MetaCheckpoint
from nlp_pipeline.generation.meta.tokenizer import end_token_ids as end_token_ids
from nlp_pipeline.generation.meta.tokenizer import holds_meta_tokenizer as holds_meta_tokenizer
from nlp_pipeline.generation.meta.tokenizer import load_meta_tokenizer as load_meta_tokenizer
