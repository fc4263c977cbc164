"""JSON Schemas (2020-12), compiled once to check values.

A schema is a dict; a program can also build a form from it. Errors are pointers and sentences.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft202012Validator

from workflows.graph.schema_messages import describe_errors

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NOT_BLANK = r"\S"
"""The pattern of text that is not only white space."""


class Schema:
    """A compiled schema."""

    def __init__(self, text: Mapping[str, Any]) -> None:
        self.text = text
        self._validator = Draft202012Validator(text)

    def problems(self, value: object) -> list[tuple[str, str]]:
        """Return a pointer and a sentence for each error in a value."""
        try:
            errors = list(self._validator.iter_errors(value))
            return describe_errors(errors) if errors else []
        except RecursionError:
            return [("", "The values are nested too deeply.")]
