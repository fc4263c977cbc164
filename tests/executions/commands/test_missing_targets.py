"""``check_integrity``: each foreign key to a missing row is found."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from django.apps import apps
from django.db import models
from django.utils import timezone

from executions.integrity import find_violations
from tests.executions.damage import unguarded

pytestmark = pytest.mark.django_db(transaction=True)

MISSING = 987_654
# These have no database key, because their target may be deleted first.
UNCHECKED = {
    "BulkItem.execution",
    "Delivery.workflow",
    "OutgoingDelivery.subscription",
    "Step.claimed_by",
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
        return MISSING
    if field.choices:
        return field.choices[0][0]
    if isinstance(field, models.DateTimeField):
        return timezone.now()
    return 1 if isinstance(field, models.IntegerField | models.BooleanField) else "x"


# Rows with every target missing violate checks, which PostgreSQL cannot ignore.
@pytest.mark.sqlite
def test_check_finds_every_foreign_key_to_missing_row(subtests: pytest.Subtests) -> None:
    keys = defaultdict(list)
    for key in foreign_keys():
        keys[key.model].append(key)
    with unguarded():
        for model, own in keys.items():
            values = {
                field.attname: required_value(field)
                for field in model._meta.concrete_fields
                if not (field.null or field.has_default() or field.primary_key or field.generated)
            }
            missing = {key.attname: MISSING for key in own}
            model._base_manager.bulk_create([model(**{**values, **missing})])
    found = {(row.model, row.detail) for row in find_violations() if row.invariant == "foreign_key"}
    for key in foreign_keys():
        with subtests.test(name_of(key)):
            detail = f"Its {key.verbose_name} has the id {MISSING}, which does not exist."
            assert (key.model._meta.verbose_name, detail) in found
