"""What the card schemes allow of trying a declined payment again: dated rules, and counters that hold us to them."""
