"""Where the keys and values of running sequences are, and which of them several share."""
