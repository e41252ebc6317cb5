"""The Llama: knows token ids and texts, nothing of spaCy, tables or prompts."""
