"""Changes of an entity's type, and its deletion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from executions import guards
from tests.bypass.case import BypassCase, guarded_paths
from tests.bypass.edit_paths import DELETIONS, WRITES, Edit
from tests.bypass.interfaces import ADMIN_DELETIONS, ADMIN_WRITES, API_DELETIONS, API_WRITES
from tests.bypass.live_data import LiveData
from workflows.guards import ContextShape
from workflows.models import EntityName

WRITTEN = [*WRITES, *API_WRITES, *ADMIN_WRITES]
DELETED = [*DELETIONS, *API_DELETIONS, *ADMIN_DELETIONS]


def _as_proxy(data: LiveData) -> Any:
    return data.proxy._base_manager.get(pk=data.entity.pk)


def _entity_edits(
    values: Callable[[LiveData], dict[str, Any]],
) -> Callable[[LiveData], dict[str, Edit]]:
    return lambda data: {
        "the entity": Edit(data.entity, values(data), data.entity),
        "as proxy": Edit(_as_proxy(data), values(data)),
    }


def _other_type(data: LiveData) -> dict[str, Any]:
    return {data.type_field: data.other_type}


def _unused_entity(data: LiveData) -> Any:
    return data.proxy.objects.get(pk=data.new_entity(data.current_type).pk)


def _typed(name: str, values: Any, entity_name: str = EntityName.FINDING) -> BypassCase:
    return BypassCase(
        name,
        _entity_edits(values),
        WRITTEN,
        refusal=guards.EntityInUse,
        message="Cannot change the type of",
        service="or cancel",
        entity_name=entity_name,
        legal_edit=lambda data: Edit(_unused_entity(data), values(data)),
        # Only executions bind an entity: every statement may change an unused one.
        legal_paths=WRITTEN,
        has_blockers=True,
    )


CASES = [
    _typed("finding type of an entity", _other_type),
    _typed("record type of an entity", _other_type, EntityName.INVENTORY_MODEL),
    _typed("whole context of an entity", LiveData.other_context),
    BypassCase(
        "entity_name of an entity, alone",
        _entity_edits(lambda _: {"entity_name": "InventoryModel"}),
        WRITTEN,
        refusal=ContextShape,
        message="A Finding has a finding type and no record type. "
        "An InventoryModel has a record type and no finding type.",
        service="or cancel",
    ),
    BypassCase(
        "entity deleted",
        lambda data: {"as proxy": Edit(_as_proxy(data))},
        DELETED,
        refusal=guards.EntityInUse,
        message="Cannot delete",
        legal_edit=lambda data: Edit(_unused_entity(data)),
        legal_paths=guarded_paths(DELETED),
        has_blockers=True,
    ),
]
