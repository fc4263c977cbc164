"""JSON Schemas (2020-12) that values are checked against, compiled once.

A schema is a dict that a program can also draw a form from. What it refuses is told as pointers
and sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from workflows.graph.schema_messages import told

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NOT_BLANK = r"\S"
"""The pattern of a text that holds more than white space."""


class Schema:
    """One schema, compiled."""

    def __init__(self, text: Mapping[str, Any]) -> None:
        self.text = text
        self._validator = Draft202012Validator(text)

    def problems(self, value: object) -> list[tuple[str, str]]:
        """Return a pointer and a sentence for everything that the schema refuses in a value."""
        try:
            return told(self._validator.iter_errors(value))
        except RecursionError:
            return [("", "The values are nested too deeply.")]
