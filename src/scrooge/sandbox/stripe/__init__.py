"""Stripe's dialect, from its public API reference and OpenAPI document."""
