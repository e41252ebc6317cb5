"""What may be generated: forced texts and grammars; bound to a model's tokens per request."""
