"""The corpus: files and objects in, `Record`s and `Reject`s out; knows nothing of spaCy."""

from nlp_pipeline.corpus.document_count import count_documents as count_documents
from nlp_pipeline.corpus.reader import read_corpus as read_corpus
from nlp_pipeline.corpus.record import Question as Question
from nlp_pipeline.corpus.record import Record as Record
from nlp_pipeline.corpus.record import Reject as Reject
from nlp_pipeline.corpus.sources import source_files as source_files
