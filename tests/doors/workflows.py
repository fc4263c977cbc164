"""A workflow deleted, a workflow retired that others call, and a type deleted."""

from __future__ import annotations

from typing import Any

from tests.doors.faces import (
    ADMIN_DELETIONS,
    ADMIN_WRITES,
    API_DELETIONS,
    API_WRITES,
    action,
)
from tests.doors.house import CALLEE, OLDER, RUNS, TRANSITIVE, House
from tests.doors.subject import Subject, accepting, on
from tests.doors.ways import DELETIONS, WRITES, Behind, Edit, Way
from tests.factories import FindingTypeFactory
from workflows import editing, guards
from workflows.models import EntityName

DELETED = [*DELETIONS, *API_DELETIONS, *ADMIN_DELETIONS]
CALLED = "Cannot delete this workflow: 1 other workflow calls it"


def _retire(house: House, edit: Edit) -> None:
    editing.retire(edit.row)


def _set_state(house: House, edit: Edit) -> None:
    editing.set_state(edit.row, "retired")


RETIRED = [
    *WRITES,
    Way("retire", _retire, Behind.GUARD),
    Way("set_state", _set_state, Behind.GUARD),
    *API_WRITES,
    *ADMIN_WRITES,
    Way("retire_action", action("retire"), Behind.PAGE),
]


def _called_by_latest(house: House) -> dict[str, Edit]:
    # Whom only an older running version calls may retire: what has pinned it goes on.
    return {
        target: Edit(house.workflows[target], {"state": "retired"}, house.workflows[target])
        for target in (CALLEE, TRANSITIVE)
    }


def _type_deleted(name: str, **more: Any) -> Subject:
    return Subject(
        name,
        lambda house: {"the type that all have": Edit(house.kind)},
        DELETED,
        refusal=guards.TypeInUse,
        says="it is in use by",
        has_blockers=True,
        **more,
    )


def _unused_type(house: House) -> Edit:
    return Edit(FindingTypeFactory())


SUBJECTS = [
    Subject(
        "workflow deleted",
        on(lambda house: house.workflows),
        DELETED,
        refusal=(guards.HasExecutions, guards.HasCallers),
        says={
            RUNS: "Cannot delete this workflow: executions have run on it.",
            CALLEE: CALLED,
            TRANSITIVE: CALLED,
            OLDER: CALLED,
        },
        twin=lambda house: Edit(house.workflow("Idle", house.kind)),
        legal=accepting(DELETED),
        has_blockers=True,
    ),
    Subject(
        "called workflow retired",
        _called_by_latest,
        RETIRED,
        refusal=guards.HasCallers,
        says="Cannot retire this workflow: 1 other workflow calls it",
        service="workflows.editing.set_state()",
        twin=lambda house: Edit(house.workflow("Idle", house.kind), {"state": "retired"}),
        legal=accepting(RETIRED, "save_base"),
        has_blockers=True,
    ),
    _type_deleted("finding type deleted", twin=_unused_type, legal=accepting(DELETED)),
    _type_deleted("record type deleted", entity_name=EntityName.INVENTORY_MODEL),
]
