"""Long documents to chunks that fit a model, and which chunk can hold an answer."""

from nlp_pipeline.chunking.chunk import Chunk as Chunk
from nlp_pipeline.chunking.ranking import Query as Query
from nlp_pipeline.chunking.ranking import rank as rank
from nlp_pipeline.chunking.splitting import split as split
