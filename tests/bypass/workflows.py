"""Deletion of workflows and types, and retirement of a workflow with callers."""

from __future__ import annotations

from typing import Any

from tests.bypass.case import BypassCase, edits_of, guarded_paths
from tests.bypass.edit_paths import DELETIONS, WRITES, Defense, Edit, EditPath
from tests.bypass.interfaces import (
    ADMIN_DELETIONS,
    ADMIN_WRITES,
    API_DELETIONS,
    API_WRITES,
    action,
)
from tests.bypass.live_data import CALLEE, OLDER, RUNNING, TRANSITIVE, LiveData
from tests.factories import FindingTypeFactory
from workflows import editing, guards
from workflows.models import EntityName

DELETED = [*DELETIONS, *API_DELETIONS, *ADMIN_DELETIONS]
CALLED = "Cannot delete this workflow: 1 other workflow calls it"


def _retire(data: LiveData, edit: Edit) -> None:
    editing.retire(edit.row)


def _set_state(data: LiveData, edit: Edit) -> None:
    editing.set_state(edit.row, "retired")


RETIRED = [
    *WRITES,
    EditPath("retire", _retire, Defense.GUARD),
    EditPath("set_state", _set_state, Defense.GUARD),
    *API_WRITES,
    *ADMIN_WRITES,
    EditPath("retire_action", action("retire"), Defense.PAGE),
]


def _called_by_latest(data: LiveData) -> dict[str, Edit]:
    # A workflow that only an older version calls may retire: live executions have pinned it.
    return {
        target: Edit(data.workflows[target], {"state": "retired"}, data.workflows[target])
        for target in (CALLEE, TRANSITIVE)
    }


def _type_deleted(name: str, **more: Any) -> BypassCase:
    return BypassCase(
        name,
        lambda data: {"the type of all rows": Edit(data.current_type)},
        DELETED,
        refusal=guards.TypeInUse,
        message="it is in use by",
        has_blockers=True,
        **more,
    )


def _unused_type(data: LiveData) -> Edit:
    return Edit(FindingTypeFactory())


CASES = [
    BypassCase(
        "workflow deleted",
        edits_of(lambda data: data.workflows),
        DELETED,
        refusal=(guards.HasExecutions, guards.HasCallers),
        message={
            RUNNING: "Cannot delete this workflow: executions have run on it.",
            CALLEE: CALLED,
            TRANSITIVE: CALLED,
            OLDER: CALLED,
        },
        legal_edit=lambda data: Edit(data.workflow("Idle", data.current_type)),
        legal_paths=guarded_paths(DELETED),
        has_blockers=True,
    ),
    BypassCase(
        "called workflow retired",
        _called_by_latest,
        RETIRED,
        refusal=guards.HasCallers,
        message="Cannot retire this workflow: 1 other workflow calls it",
        service="workflows.editing.set_state()",
        legal_edit=lambda data: Edit(
            data.workflow("Idle", data.current_type), {"state": "retired"}
        ),
        legal_paths=guarded_paths(RETIRED, "save_base"),
        has_blockers=True,
    ),
    _type_deleted(
        "finding type deleted", legal_edit=_unused_type, legal_paths=guarded_paths(DELETED)
    ),
    _type_deleted("record type deleted", entity_name=EntityName.INVENTORY_MODEL),
]
