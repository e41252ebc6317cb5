"""Prompt templates: Jinja files versioned by name, rendered to chats."""

from nlp_pipeline.prompts.template import PromptTemplate as PromptTemplate
from nlp_pipeline.prompts.template import inline_template as inline_template
from nlp_pipeline.prompts.template import load_template as load_template
