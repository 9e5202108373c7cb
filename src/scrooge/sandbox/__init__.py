"""Simulated PSPs over HTTP: their dialects on one simulated issuer, with ground truth and faults.

Written from the PSPs' own documents and sharing no code with the connectors, so that one
misreading cannot confirm itself.
"""
