"""A small shop, as a merchant would write it: it talks HTTP to Scrooge and the vault, and no card reaches it."""
