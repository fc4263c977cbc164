"""A second workflow of a type that would start when an entity of it is created."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.doors.faces import ADMIN_WRITES, API_WRITES, action
from tests.doors.house import House
from tests.doors.subject import Subject, accepting
from tests.doors.ways import WRITES, Behind, Edit, Way
from tests.factories import FindingTypeFactory, WorkflowFactory
from workflows import editing, guards

WRITTEN = [*WRITES, *API_WRITES, *ADMIN_WRITES]


def _activate(house: House, edit: Edit) -> None:
    editing.set_state(edit.row, "active")


def _change_together(house: House, edit: Edit) -> None:
    editing.change_entity_context([edit.row], **edit.values)


ACTIVATED = [
    *WRITTEN,
    Way("set_state", _activate, Behind.GUARD),
    Way("activate_action", action("activate"), Behind.PAGE),
]
MOVED = [*WRITTEN, Way("change_entity_context", _change_together, Behind.GUARD)]


def _subject(
    name: str,
    edit: Callable[[House], Edit],
    ways: list[Way],
    service: str,
    twin: Callable[[], Edit],
) -> Subject:
    return Subject(
        f"second that starts on creation, by its {name}",
        lambda house: {name: edit(house)},
        ways,
        refusal=guards.TriggerTaken,
        says="workflow of this type already starts when an entity is created: “Registered”.",
        service=service,
        twin=lambda _: twin(),
        legal=accepting(ways, "save_base"),
        has_blockers=True,
    )


def _alone(**values: Any) -> Any:
    return WorkflowFactory(entity_name_type=FindingTypeFactory(), **values)


SUBJECTS = [
    _subject(
        "trigger",
        lambda house: Edit(house.spare, {"trigger": "created"}),
        WRITTEN,
        "Workflow.save()",
        lambda: Edit(_alone(), {"trigger": "created"}),
    ),
    _subject(
        "state",
        lambda house: Edit(house.let_go, {"state": "active"}),
        ACTIVATED,
        "workflows.editing.set_state()",
        lambda: Edit(_alone(trigger="created", state="retired"), {"state": "active"}),
    ),
    _subject(
        "type",
        lambda house: Edit(house.moving, {"entity_name_type": house.kind}),
        MOVED,
        "workflows.editing.change_entity_context()",
        lambda: Edit(_alone(trigger="created"), {"entity_name_type": FindingTypeFactory()}),
    ),
]
