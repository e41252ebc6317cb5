"""Where in the text an answer stands."""
