"""Adyen's dialect, from its public documentation and OpenAPI documents."""
