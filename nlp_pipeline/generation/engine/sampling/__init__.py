"""From logits to tokens, for rows that sample alike at once."""
