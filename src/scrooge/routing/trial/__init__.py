"""Routing policies compared in simulated worlds: the same payments, the same luck, and the rules of the schemes."""
