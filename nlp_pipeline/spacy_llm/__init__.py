"""Configs of spacy-llm as pipelines of this package; nothing of spacy-llm is needed for it."""
