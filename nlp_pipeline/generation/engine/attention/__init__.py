"""How the tokens of one step attend to the past of their sequences."""
