"""Read permissions, applied in the same way wherever a record appears.

A record that another record refers to appears there with its cuid and title, for every user who
may read the other record. Its fields appear only for users who may read the record itself.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any

from django.apps import apps
from django.db.models import Model

OPERATE = "executions.change_execution"
"""The permission to intervene in executions."""


def may_view(user: Any, model: type[Model]) -> bool:
    """Return True if this user may read the records of a model."""
    return any(user.has_perm(name) for name in viewing_permissions(model))


@cache
def viewing_permissions(model: type[Model]) -> tuple[str, ...]:
    """Return the permissions of which each allows to read the records of a model."""
    options = model._meta
    return tuple(
        f"{options.app_label}.{action}_{options.model_name}" for action in ("view", "change")
    )


def may_view_values(user: Any, entry: Any) -> bool:
    """Return True if this user may read the values of an audit entry.

    The user needs permission to read the record and, if a graph was saved, versions.
    """
    models = _models_by_name().get(entry.kind, [])
    if entry.action == "graph_saved":
        models = [*models, *_models_by_name()["version"]]
    return all(may_view(user, model) for model in models)


@cache
def _models_by_name() -> dict[str, list[type[Model]]]:
    """Return the models by their name in the audit log. A proxy replaces its concrete model."""
    found: dict[str, list[type[Model]]] = defaultdict(list)
    models = apps.get_models()
    proxied = {model._meta.concrete_model for model in models if model._meta.proxy}
    for model in models:
        if model not in proxied and model._meta.concrete_model is not None:
            found[str(model._meta.concrete_model._meta.verbose_name)].append(model)
    return found
