"""The decline catalogue's tables: which code of whom is which reason, since when we say so and who told us."""
