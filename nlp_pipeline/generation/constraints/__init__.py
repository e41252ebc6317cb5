"""What may be generated: forced texts, grammars, pieces of a document; bound per request."""
