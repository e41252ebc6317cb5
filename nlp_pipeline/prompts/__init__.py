"""Prompt templates: Jinja files versioned by name, rendered to chats."""

from nlp_pipeline.prompts.examples import Example as Example
from nlp_pipeline.prompts.examples import load_examples as load_examples
from nlp_pipeline.prompts.template import PromptTemplate as PromptTemplate
from nlp_pipeline.prompts.template import inline_template as inline_template
from nlp_pipeline.prompts.template import load_template as load_template
