"""What can start a workflow: the kinds of triggers, and what their details may say.

Nothing here knows of the database. The kinds are registered by the package that acts on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol


class TriggerType(Protocol):
    """One value of ``Workflow.trigger``."""

    name: str

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield a pointer, below ``trigger_data``, and a sentence for what has no meaning."""

    def comparison_problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield what sound details compare fields with that makes no sense; asked at a save."""

    def normalize(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return sound details in the spelling in which they are stored."""

    def secrets(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield a pointer, below ``trigger_data``, and the name of each secret that it uses."""

    def describe(self, data: Mapping[str, Any]) -> str:
        """What starts the workflow, as a sentence for whoever looks at it."""


_kinds: dict[str, TriggerType] = {}


def register(kind: TriggerType) -> None:
    """Make a kind known. Raises ``ValueError`` when its name is taken."""
    if kind.name in _kinds:
        raise ValueError(f"The trigger '{kind.name}' is registered already.")
    _kinds[kind.name] = kind


def normalize(name: str, data: Any) -> Any:
    """Return the details of a trigger as they are stored; as they are where they mean nothing."""
    kind = _kinds.get(name)
    if kind is None or not isinstance(data, dict) or any(kind.problems(data)):
        return data
    return kind.normalize(data)


def get_trigger_types() -> Mapping[str, TriggerType]:
    """Return the registered kinds by name."""
    return MappingProxyType(_kinds)
