"""Long documents to chunks that fit a model, and which piece can hold an answer."""

from nlp_pipeline.chunking.chunk import Chunk as Chunk
from nlp_pipeline.chunking.passage import Passage as Passage
from nlp_pipeline.chunking.query import Query as Query
from nlp_pipeline.chunking.ranker import rank as rank
from nlp_pipeline.chunking.ranker import rank_sentences as rank_sentences
from nlp_pipeline.chunking.splitter import split as split
