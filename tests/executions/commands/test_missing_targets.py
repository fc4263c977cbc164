"""``check_integrity``: each foreign key to a missing row is found."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import models
from django.utils import timezone

from executions.integrity import find_violations
from tests.executions.damage import unguarded

pytestmark = pytest.mark.django_db(transaction=True)

MISSING, OTHER = 987_654, 123_456
# These have no database key, because their target may be deleted first.
UNCHECKED = {
    "BulkItem.execution",
    "Delivery.workflow",
    "OutgoingDelivery.subscription",
    "TriggeredStart.workflow",
}


def foreign_keys() -> list[Any]:
    """Return the foreign keys of all tables of both apps."""
    return [
        field
        for label in ("workflows", "executions")
        for model in apps.get_app_config(label).get_models()
        if not model._meta.proxy
        for field in model._meta.concrete_fields
        if field.is_relation and name_of(field) not in UNCHECKED
    ]


def name_of(field: Any) -> str:
    return f"{field.model.__name__}.{field.name}"


def required_value(field: Any) -> Any:
    """Return a value that the column of the field accepts."""
    if field.is_relation:
        return OTHER
    if field.choices:
        return field.choices[0][0]
    if isinstance(field, models.DateTimeField):
        return timezone.now()
    return 1 if isinstance(field, models.IntegerField | models.BooleanField) else "x"


@pytest.mark.parametrize("key", foreign_keys(), ids=name_of)
def test_check_finds_foreign_key_to_missing_row(key: Any) -> None:
    values = {
        field.attname: required_value(field)
        for field in key.model._meta.concrete_fields
        if not (field.null or field.has_default() or field.primary_key or field.generated)
    }
    row = key.model(**{**values, key.attname: MISSING})
    with unguarded():
        key.model._base_manager.bulk_create([row])
    found = [
        violation.detail for violation in find_violations() if violation.invariant == "foreign_key"
    ]
    assert f"Its {key.verbose_name} has the id {MISSING}, which does not exist." in found
