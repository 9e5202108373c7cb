"""`scrooge risk`: what is checked before a payment."""
