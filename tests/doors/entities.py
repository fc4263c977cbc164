"""The entity that executions work on: its type, its deletion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from executions import guards
from tests.doors.faces import ADMIN_DELETIONS, ADMIN_WRITES, API_DELETIONS, API_WRITES
from tests.doors.house import House
from tests.doors.subject import Subject, accepting
from tests.doors.ways import DELETIONS, WRITES, Edit
from workflows.guards import ContextShape
from workflows.models import EntityName

WRITTEN = [*WRITES, *API_WRITES, *ADMIN_WRITES]
DELETED = [*DELETIONS, *API_DELETIONS, *ADMIN_DELETIONS]


def _by_face(house: House) -> Any:
    return house.face._base_manager.get(pk=house.entity.pk)


def _both(values: Callable[[House], dict[str, Any]]) -> Callable[[House], dict[str, Edit]]:
    return lambda house: {
        "the entity": Edit(house.entity, values(house), house.entity),
        "by its face": Edit(_by_face(house), values(house)),
    }


def _other_type(house: House) -> dict[str, Any]:
    return {house.type_field: house.other_kind}


def _idle(house: House) -> Any:
    return house.face.objects.get(pk=house.new_entity(house.kind).pk)


def _typed(name: str, values: Any, entity_name: str = EntityName.FINDING) -> Subject:
    return Subject(
        name,
        _both(values),
        WRITTEN,
        refusal=guards.EntityInUse,
        says="Cannot change the type of",
        service="executions.services.cancel()",
        entity_name=entity_name,
        twin=lambda house: Edit(_idle(house), values(house)),
        # Nothing but an execution binds an entity: every statement may change an idle one.
        legal=WRITTEN,
        has_blockers=True,
    )


SUBJECTS = [
    _typed("finding type of an entity", _other_type),
    _typed("record type of an entity", _other_type, EntityName.INVENTORY_MODEL),
    _typed("whole context of an entity", House.other_context),
    Subject(
        "entity_name of an entity, alone",
        _both(lambda _: {"entity_name": "InventoryModel"}),
        WRITTEN,
        refusal=ContextShape,
        says="A Finding has a finding type and no record type; an InventoryModel the reverse.",
        service="executions.services.cancel()",
    ),
    Subject(
        "entity deleted",
        lambda house: {"by its face": Edit(_by_face(house))},
        DELETED,
        refusal=guards.EntityInUse,
        says="Cannot delete",
        twin=lambda house: Edit(_idle(house)),
        legal=accepting(DELETED),
        has_blockers=True,
    ),
]
