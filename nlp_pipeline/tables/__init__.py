"""The tables: schemas declared first, rows from a Doc, frames from rows."""

from nlp_pipeline.tables.frames import to_frames as to_frames
from nlp_pipeline.tables.schemas import SCHEMA_VERSION as SCHEMA_VERSION
from nlp_pipeline.tables.schemas import TABLES as TABLES
