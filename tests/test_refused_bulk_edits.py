"""A refusal inside a transaction that Django opens is recorded once in the audit log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction

from executions.models import Finding
from tests.conftest import Scenario
from workflows.models import AuditEntry, Workflow
from workflows.refusals import Refusal

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_databases,
    pytest.mark.usefixtures("invariants"),
]

Edit = Callable[[Any, dict[str, Any]], Any]


def bulk_update(row: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    type(row).objects.bulk_update([row], list(values))


def bulk_create(row: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    type(row).objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["cuid"], update_fields=list(values)
    )


async def aupdate_or_create(row: Any, values: dict[str, Any]) -> None:
    await type(row).objects.aupdate_or_create(cuid=row.cuid, defaults=values)


EDITS: dict[str, Edit] = {
    "update": lambda row, values: type(row).objects.filter(pk=row.pk).update(**values),
    "bulk_update": bulk_update,
    "bulk_create": bulk_create,
    "update_or_create": lambda row, values: type(row).objects.update_or_create(
        cuid=row.cuid, defaults=values
    ),
    "aupdate_or_create": async_to_sync(aupdate_or_create),
    "save": lambda row, values: type(row)(
        **{
            **{field.attname: getattr(row, field.attname) for field in own_fields(row)},
            "entity_name_type": values["entity_name_type"],
        }
    ).save(force_update=True),
}


def own_fields(row: Any) -> list[Any]:
    return [
        field
        for field in row._meta.concrete_fields
        if not field.generated and field.name != "entity_name_type"
    ]


def refused() -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(refused=True))


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("model", [Workflow, Finding])
def test_refused_edit_is_recorded_once_for_every_statement(
    scenario: Scenario, model: Any, edit: Edit
) -> None:
    scenario.start()
    row = model.objects.get(pk=(scenario.caller if model is Workflow else scenario.finding).pk)
    with pytest.raises(Refusal) as caught:
        edit(row, {"entity_name_type": scenario.exception})
    (entry,) = refused()
    assert (entry.cuid, entry.action, entry.code) == (row.cuid, "changed", caught.value.code)
    assert "entity_name_type" in entry.after


def test_refused_get_or_create_is_recorded(scenario: Scenario) -> None:
    with pytest.raises(Refusal):
        Finding.objects.get_or_create(
            title="New", defaults={"entity_name_type": scenario.limitation, "fields": [1]}
        )
    (entry,) = refused()
    assert (entry.action, entry.title) == ("created", "New")


@pytest.mark.parametrize("name", ["bulk_update", "update_or_create"])
def test_refusal_is_rolled_back_with_the_callers_transaction(scenario: Scenario, name: str) -> None:
    scenario.start()
    finding = Finding.objects.get(pk=scenario.finding.pk)

    def attempt() -> None:
        with pytest.raises(Refusal):
            EDITS[name](finding, {"entity_name_type": scenario.exception})

    with transaction.atomic():
        attempt()
        # The caller's transaction is intact and can continue.
        Finding.objects.filter(pk=finding.pk).update(title="Renamed")
    assert len(refused()) == 1
    assert Finding.objects.get(pk=finding.pk).title == "Renamed"
    with pytest.raises(KeyError), transaction.atomic():
        attempt()
        raise KeyError
    assert len(refused()) == 1
