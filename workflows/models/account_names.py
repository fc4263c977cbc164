"""Names of deleted accounts.

Deleting a user sets the keys to it to NULL. A text field beside the key keeps the name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import models

SUFFIX = "_name"


def account_name_field() -> models.CharField[str, str]:
    """Return the field beside a key to a user. It is written when that user is deleted."""
    return models.CharField(max_length=254, blank=True, default="", db_default="", editable=False)


def account_name_of(row: Any, field: str) -> str:
    """Return the name of the account in this field, or its last name if it has been deleted."""
    user = getattr(row, field)
    return str(user.get_username() if user is not None else getattr(row, field + SUFFIX))


def find_account_fields() -> Iterator[tuple[type[models.Model], str]]:
    """Yield the models and their keys to a user that have a field for the name."""
    user = get_user_model()
    for model in apps.get_models():
        names = {field.name for field in model._meta.concrete_fields}
        for field in model._meta.concrete_fields:
            if field.related_model is user and field.name + SUFFIX in names:
                yield model, field.name


def store_account_name(user: Any) -> None:
    """Write the name of a user who is about to be deleted beside every key to the account."""
    for model, name in find_account_fields():
        rows = model._base_manager.filter(**{name: user})
        models.QuerySet.update(rows, **{name + SUFFIX: user.get_username()})
