"""The built-in risk check: velocity, lists and card testing, by rules that first only watch."""
