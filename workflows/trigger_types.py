"""Trigger types: the ways in which a workflow starts, and their settings.

``executions.engine.trigger_types`` registers the types. Nothing here uses the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol


class TriggerType(Protocol):
    """A value of ``Workflow.trigger``."""

    name: str
    schema: Mapping[str, Any]
    """The JSON Schema of its settings, for forms. ``problems`` checks them."""

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield a pointer below ``trigger_data`` and a sentence for each invalid setting."""

    def comparison_problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the comparisons of valid settings that can never hold, in the same form.

        Checked when the workflow is saved.
        """

    def normalize(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return valid settings in their stored form."""

    def secrets(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield a pointer below ``trigger_data`` and a name for each secret that is used."""

    def describe(self, data: Mapping[str, Any]) -> str:
        """Return a sentence that says what starts the workflow."""


_types: dict[str, TriggerType] = {}


def register(trigger_type: TriggerType) -> None:
    """Register a trigger type. Raise ``ValueError`` if its name is taken."""
    if trigger_type.name in _types:
        raise ValueError(f"The trigger '{trigger_type.name}' is registered already.")
    _types[trigger_type.name] = trigger_type


def normalize(name: str, data: Any) -> Any:
    """Return the settings of a trigger in their stored form; invalid ones unchanged."""
    trigger_type = _types.get(name)
    if trigger_type is None or not isinstance(data, dict) or any(trigger_type.problems(data)):
        return data
    return trigger_type.normalize(data)


def get_trigger_types() -> Mapping[str, TriggerType]:
    """Return the registered trigger types by name."""
    return MappingProxyType(_types)
