"""Reads the tables that ship beside this code: rules and codes as TOML, each with its source."""

import tomllib
from importlib import resources
from typing import TypeVar

import msgspec

T = TypeVar("T")


def shipped(path: str, form: type[T]) -> T:
    """The table at `path` in this folder. Strict: a missing key, or one nobody knows, is a ValidationError."""
    return msgspec.convert(tomllib.loads((resources.files("scrooge.routing") / path).read_text("utf-8")), form)
