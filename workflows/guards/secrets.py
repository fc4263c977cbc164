"""The rule that the secrets of graphs and triggers exist."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows.graph import WorkflowValidationError, node_types
from workflows.refusals import Problem, Refusal, Remedy
from workflows.trigger_types import get_trigger_types


class UnknownSecret(Refusal):
    message = _("The secret does not exist.")
    code = "unknown_secret"


SecretName = tuple[str, str]
"""A JSON pointer, and the name of the secret that is used there."""

_existing: Callable[[set[str]], set[str]] = set
_is_allowed: ContextVar[bool] = ContextVar("unknown_is_allowed", default=False)


def register_secret_lookup(existing: Callable[[set[str]], set[str]]) -> None:
    """Register a function that returns those of some names that are secrets."""
    global _existing
    _existing = existing


@contextmanager
def allow_unknown_secrets(allowed: bool = True) -> Iterator[None]:
    """Allow saves in the block to use secrets that do not exist yet, as imports do."""
    token = _is_allowed.set(allowed or _is_allowed.get())
    try:
        yield
    finally:
        _is_allowed.reset(token)


def find_secrets(source: Any) -> list[SecretName]:
    """Return the secrets that a graph uses, with their pointers. Skips damaged nodes."""
    nodes = source.get("nodes") if isinstance(source, dict) else None
    known, found = node_types(), []
    for index, node in enumerate(nodes if isinstance(nodes, list) else ()):
        node_type = known.get(str(node.get("type"))) if isinstance(node, dict) else None
        data = node.get("data") if node_type is not None else None
        if node_type is not None and isinstance(data, dict):
            at = f"/nodes/{index}/data"
            found += [(f"{at}{pointer}", name) for pointer, name in node_type.secrets(data)]
    return found


def find_trigger_secrets(trigger: str, data: Any) -> list[SecretName]:
    """Return the secrets that the settings of a trigger use, with their pointers."""
    trigger_type = get_trigger_types().get(trigger)
    if trigger_type is None or not isinstance(data, dict):
        return []
    return [(f"/trigger_data{at}", name) for at, name in trigger_type.secrets(data)]


def find_unknown_secrets(named: Iterable[SecretName]) -> list[Problem]:
    """Return a problem for each use of a secret that does not exist."""
    places = [] if _is_allowed.get() else list(named)
    if not places:
        return []
    existing = _existing({name for _, name in places})
    return [
        Problem(
            pointer,
            UnknownSecret.code,
            gettext("There is no secret named “{name}”.").format(name=name),
        )
        for pointer, name in places
        if name not in existing
    ]


def refuse_unknown_secrets(source: Any, others: Iterable[Problem] = ()) -> None:
    """Refuse a graph that uses a secret that does not exist.

    Args:
        source: the graph.
        others: other problems of the graph, which are raised together with these.

    Raises:
        graph.WorkflowValidationError: with all problems.
    """
    problems = [*others, *(unknown := find_unknown_secrets(find_secrets(source)))]
    if problems:
        refusal = WorkflowValidationError(problems)
        refusal.remedies = [_remedy()] if unknown else []
        raise refusal


def refuse_unknown_secret_of_trigger(workflow: Any) -> None:
    """Raise ``UnknownSecret`` if the trigger of a workflow uses a secret that does not exist."""
    named = find_trigger_secrets(workflow.trigger, workflow.trigger_data)
    if problems := find_unknown_secrets(named):
        raise UnknownSecret(problems[0].detail, problems=problems, remedies=[_remedy()])


def _remedy() -> Remedy:
    return Remedy("create_secret", gettext("Ask an administrator to create the secret first."))
