"""Who may read which records: what is not read directly is not read through another record.

A record that another one names is shown there by its cuid and title, to whoever may read the other
one. Its fields are shown to those alone who may read it.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import Any

from django.apps import apps
from django.db.models import Model


def may_view(user: Any, model: type[Model]) -> bool:
    """Return True if this user may read the records of a model: whoever may change them may too."""
    options = model._meta
    return any(
        user.has_perm(f"{options.app_label}.{action}_{options.model_name}")
        for action in ("view", "change")
    )


def may_view_values(user: Any, entry: Any) -> bool:
    """Return True if this user may read what an audit entry has of its record.

    They may if they may read the record; of a graph that was saved, the versions too.
    """
    models = _kinds().get(entry.kind, [])
    if entry.action == "graph_saved":
        models = [*models, *_kinds()["version"]]
    return all(may_view(user, model) for model in models)


@cache
def _kinds() -> dict[str, list[type[Model]]]:
    """The models by the name that the log has for them; a proxy stands for its model."""
    found: dict[str, list[type[Model]]] = defaultdict(list)
    models = apps.get_models()
    proxied = {model._meta.concrete_model for model in models if model._meta.proxy}
    for model in models:
        if model not in proxied and model._meta.concrete_model is not None:
            found[str(model._meta.concrete_model._meta.verbose_name)].append(model)
    return found
