"""Edits after which a second workflow of a type would start on creation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.bypass.case import BypassCase, guarded_paths
from tests.bypass.edit_paths import WRITES, Defense, Edit, EditPath
from tests.bypass.interfaces import ADMIN_WRITES, API_WRITES, action
from tests.bypass.live_data import LiveData
from tests.factories import FindingTypeFactory, WorkflowFactory
from workflows import editing, guards

WRITTEN = [*WRITES, *API_WRITES, *ADMIN_WRITES]


def _activate(data: LiveData, edit: Edit) -> None:
    editing.set_state(edit.row, "active")


def _change_together(data: LiveData, edit: Edit) -> None:
    editing.change_entity_context([edit.row], **edit.values)


ACTIVATED = [
    *WRITTEN,
    EditPath("set_state", _activate, Defense.GUARD),
    EditPath("activate_action", action("activate"), Defense.PAGE),
]
MOVED = [*WRITTEN, EditPath("change_entity_context", _change_together, Defense.GUARD)]


def _case(
    name: str,
    edit: Callable[[LiveData], Edit],
    paths: list[EditPath],
    service: str,
    legal_edit: Callable[[], Edit],
) -> BypassCase:
    return BypassCase(
        f"second creation trigger, by {name}",
        lambda data: {name: edit(data)},
        paths,
        refusal=guards.TriggerTaken,
        message="workflow of this type already starts when an entity is created: “Registered”.",
        service=service,
        legal_edit=lambda _: legal_edit(),
        legal_paths=guarded_paths(paths, "save_base"),
        has_blockers=True,
    )


def _alone(**values: Any) -> Any:
    return WorkflowFactory(entity_name_type=FindingTypeFactory(), **values)


CASES = [
    _case(
        "trigger",
        lambda data: Edit(data.spare, {"trigger": "created"}),
        WRITTEN,
        "Workflow.save()",
        lambda: Edit(_alone(), {"trigger": "created"}),
    ),
    _case(
        "state",
        lambda data: Edit(data.retired, {"state": "active"}),
        ACTIVATED,
        "workflows.editing.set_state()",
        lambda: Edit(_alone(trigger="created", state="retired"), {"state": "active"}),
    ),
    _case(
        "type",
        lambda data: Edit(data.moving, {"entity_name_type": data.current_type}),
        MOVED,
        "workflows.editing.change_entity_context()",
        lambda: Edit(_alone(trigger="created"), {"entity_name_type": FindingTypeFactory()}),
    ),
]
