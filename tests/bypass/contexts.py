"""Changes of a workflow's entity context."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

from django.core.management import call_command

from tests.bypass.case import BypassCase, guarded_paths
from tests.bypass.edit_paths import WRITES, Defense, Edit, EditPath
from tests.bypass.interfaces import ADMIN_WRITES, API_WRITES
from tests.bypass.live_data import CALLEE, OLDER, RUNNING, TRANSITIVE, LiveData
from workflows import editing, guards
from workflows.models import EntityName

OWN = "Cannot change finding type while this workflow has active executions."
DEPENDENT = "Cannot change finding type: workflows referencing this one have active executions."
MESSAGES = {RUNNING: OWN, CALLEE: DEPENDENT, TRANSITIVE: DEPENDENT, OLDER: DEPENDENT}
TYPES = {"entity_name_type", "primary_record_type"}


def _is_whole_context(edit: Edit) -> bool:
    """Return True if the values form a valid context; the service takes no other."""
    row = edit.changed
    has = (row.entity_name_type_id is not None, row.primary_record_type_id is not None)
    return has == (row.entity_name == "Finding", row.entity_name != "Finding")


def _given_values(edit: Edit) -> dict[str, Any]:
    return {name: value for name, value in edit.values.items() if value is not None}


def _service(data: LiveData, edit: Edit) -> None:
    editing.change_entity_context([edit.row], **_given_values(edit))


def _group_api(data: LiveData, edit: Edit) -> Any:
    body = {name: getattr(value, "cuid", value) for name, value in _given_values(edit).items()}
    if "primary_record_type" in body:
        body["primary_record_type_id"] = body.pop("primary_record_type")
    url = "/api/v1/workflows/change-entity-context/"
    return data.api.post(url, {"workflows": [edit.row.cuid], **body})


def _group_page(data: LiveData, edit: Edit) -> Any:
    [(name, entity_type)] = [item for item in _given_values(edit).items() if item[0] in TYPES]
    prefix = "finding" if name == "entity_name_type" else "record"
    sent = {"workflows": str(edit.row.pk), "type": f"{prefix}-{entity_type.pk}", "why": ""}
    return data.staff.post("/admin/workflows/workflow/change-type/", sent, follow=True)


def _command(data: LiveData, edit: Edit) -> None:
    [entity_type] = [value for name, value in _given_values(edit).items() if name in TYPES]
    call_command("change_finding_type", edit.row.cuid, entity_type.cuid, stdout=StringIO())


PATHS = [
    *WRITES,
    EditPath("service", _service, Defense.GUARD, _is_whole_context),
    *API_WRITES,
    EditPath("change_entity_context", _group_api, Defense.API, _is_whole_context),
    *ADMIN_WRITES,
    EditPath("change_type_page", _group_page, Defense.PAGE, _is_whole_context),
    EditPath("change_finding_type", _command, Defense.COMMAND, _is_whole_context),
]


def _on_each(values: Callable[[LiveData], dict[str, Any]]) -> Callable[[LiveData], dict[str, Edit]]:
    return lambda data: {
        target: Edit(row, values(data), row) for target, row in data.workflows.items()
    }


def _other_type(data: LiveData) -> dict[str, Any]:
    return {data.type_field: data.other_type}


def _unused_workflow(values: Callable[[LiveData], dict[str, Any]]) -> Callable[[LiveData], Edit]:
    return lambda data: Edit(data.workflow("Idle", data.current_type), values(data))


# ``save_base`` does not append a version.
LEGAL = guarded_paths(PATHS, "save_base")


def _context(
    name: str,
    values: Callable[[LiveData], dict[str, Any]],
    entity_name: str = EntityName.FINDING,
) -> BypassCase:
    return BypassCase(
        name,
        _on_each(values),
        PATHS,
        refusal=(guards.ActiveExecutions, guards.DependentActiveExecutions),
        message=MESSAGES,
        service="workflows.editing.change_entity_context()",
        entity_name=entity_name,
        legal_edit=_unused_workflow(values),
        legal_paths=LEGAL,
        has_blockers=True,
    )


def _wrong_shape(
    name: str,
    values: Callable[[LiveData], dict[str, Any]],
) -> BypassCase:
    return BypassCase(
        name,
        # One target is enough: the rule does not depend on the workflow.
        lambda data: {RUNNING: _on_each(values)(data)[RUNNING]},
        PATHS,
        refusal=guards.ContextShape,
        message="A Finding has a finding type and no record type. "
        "An InventoryModel has a record type and no finding type.",
        service="workflows.editing.change_entity_context()",
    )


CASES = [
    _context("finding type of a workflow", _other_type),
    _context("record type of a workflow", _other_type, EntityName.INVENTORY_MODEL),
    _context("whole context of a workflow", LiveData.other_context),
    _wrong_shape("entity_name of a workflow, alone", lambda _: {"entity_name": "InventoryModel"}),
    _wrong_shape(
        "primary_record_type of a workflow, beside its finding type",
        lambda data: {"primary_record_type": data.record_type},
    ),
]
