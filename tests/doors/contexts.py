"""A workflow's entity context: the finding type, the record type, the entity name."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

from django.core.management import call_command

from tests.doors.faces import ADMIN_WRITES, API_WRITES
from tests.doors.house import CALLEE, OLDER, RUNS, TRANSITIVE, House
from tests.doors.subject import Subject, accepting
from tests.doors.ways import WRITES, Behind, Edit, Way
from workflows import editing, guards
from workflows.models import EntityName

OWN = "Cannot change finding type while this workflow has active executions."
DEPENDENT = "Cannot change finding type: workflows referencing this one have active executions."
SAYS = {RUNS: OWN, CALLEE: DEPENDENT, TRANSITIVE: DEPENDENT, OLDER: DEPENDENT}
TYPES = {"entity_name_type", "primary_record_type"}


def _whole(edit: Edit) -> bool:
    """Whether the values are a context that could be: the service takes no other."""
    row = edit.changed
    has = (row.entity_name_type_id is not None, row.primary_record_type_id is not None)
    return has == (row.entity_name == "Finding", row.entity_name != "Finding")


def _given(edit: Edit) -> dict[str, Any]:
    return {name: value for name, value in edit.values.items() if value is not None}


def _service(house: House, edit: Edit) -> None:
    editing.change_entity_context([edit.row], **_given(edit))


def _together(house: House, edit: Edit) -> Any:
    body = {name: getattr(value, "cuid", value) for name, value in _given(edit).items()}
    if "primary_record_type" in body:
        body["primary_record_type_id"] = body.pop("primary_record_type")
    url = "/api/v1/workflows/change-entity-context/"
    return house.api.post(url, {"workflows": [edit.row.cuid], **body})


def _together_page(house: House, edit: Edit) -> Any:
    [(name, kind)] = [item for item in _given(edit).items() if item[0] in TYPES]
    prefix = "finding" if name == "entity_name_type" else "record"
    sent = {"workflows": str(edit.row.pk), "type": f"{prefix}-{kind.pk}", "why": ""}
    return house.staff.post("/admin/workflows/workflow/change-type/", sent, follow=True)


def _command(house: House, edit: Edit) -> None:
    [kind] = [value for name, value in _given(edit).items() if name in TYPES]
    call_command("change_finding_type", edit.row.cuid, kind.cuid, stdout=StringIO())


WAYS = [
    *WRITES,
    Way("service", _service, Behind.GUARD, _whole),
    *API_WRITES,
    Way("change_entity_context", _together, Behind.API, _whole),
    *ADMIN_WRITES,
    Way("change_type_page", _together_page, Behind.PAGE, _whole),
    Way("change_finding_type", _command, Behind.COMMAND, _whole),
]


def _on_each(values: Callable[[House], dict[str, Any]]) -> Callable[[House], dict[str, Edit]]:
    return lambda house: {
        target: Edit(row, values(house), row) for target, row in house.workflows.items()
    }


def _other_type(house: House) -> dict[str, Any]:
    return {house.type_field: house.other_kind}


def _idle(values: Callable[[House], dict[str, Any]]) -> Callable[[House], Edit]:
    return lambda house: Edit(house.workflow("Idle", house.kind), values(house))


# ``save_base`` alone neither releases the old version nor appends a new one.
LEGAL = accepting(WAYS, "save_base")


def _context(
    name: str,
    values: Callable[[House], dict[str, Any]],
    entity_name: str = EntityName.FINDING,
) -> Subject:
    return Subject(
        name,
        _on_each(values),
        WAYS,
        refusal=(guards.ActiveExecutions, guards.DependentActiveExecutions),
        says=SAYS,
        service="workflows.editing.change_entity_context()",
        entity_name=entity_name,
        twin=_idle(values),
        legal=LEGAL,
        has_blockers=True,
    )


def _misshapen(
    name: str,
    values: Callable[[House], dict[str, Any]],
) -> Subject:
    return Subject(
        name,
        # The same for whatever workflow: no target of the four is asked about.
        lambda house: {RUNS: _on_each(values)(house)[RUNS]},
        WAYS,
        refusal=guards.ContextShape,
        says="A Finding has a finding type and no record type; an InventoryModel the reverse.",
        service="workflows.editing.change_entity_context()",
    )


SUBJECTS = [
    _context("finding type of a workflow", _other_type),
    _context("record type of a workflow", _other_type, EntityName.INVENTORY_MODEL),
    _context("whole context of a workflow", House.other_context),
    _misshapen("entity_name of a workflow, alone", lambda _: {"entity_name": "InventoryModel"}),
    _misshapen(
        "primary_record_type of a workflow, beside its finding type",
        lambda house: {"primary_record_type": house.record_type},
    ),
]
