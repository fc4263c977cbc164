"""What is fixed when an execution starts: its version, workflow, entity, pins; and its end."""

from __future__ import annotations

from typing import Any

from executions import guards
from executions import services as running
from executions.models import Execution, Pin
from tests.doors.faces import STOCK_ADMIN, WALLED, walled_api
from tests.doors.house import CALLEE, OLDER, TRANSITIVE, House
from tests.doors.subject import Subject, Values, accepting, on, written_once
from tests.doors.ways import DELETIONS, WRITES, Edit
from tests.factories import form, save_line

SERVICE = "executions.services"


def _live(house: House) -> dict[str, Execution]:
    return {
        "one that waits": house.waiting,
        "one whose child waits": house.calling,
        "a child": house.child,
        "one of an older version": house.older,
    }


def _execution(name: str, values: Values) -> Subject:
    return written_once(f"{name} of an execution", _live, values, guards.ExecutionFrozen, SERVICE)


def _pins(house: House) -> dict[str, Pin]:
    of = house.waiting.pins
    return {
        "of its callee": of.get(callee=house.workflows[CALLEE]),
        "of its transitive callee": of.get(callee=house.workflows[TRANSITIVE]),
        "of a callee of an older running version": house.older.pins.get(
            callee=house.workflows[OLDER]
        ),
    }


def _pin(name: str, values: Values) -> Subject:
    return written_once(f"{name} of a pin", _pins, values, guards.ExecutionFrozen, SERVICE)


def _spare_workflow(house: House) -> dict[str, Any]:
    return {"workflow": house.spare, "version": house.spare_version}


def _spare_callee(house: House) -> dict[str, Any]:
    return {"callee": house.spare, "version": house.spare_version}


def _ended(house: House) -> Edit:
    workflow = house.workflow("Ended", house.kind)
    save_line(workflow, form())
    return Edit(running.cancel(running.start(workflow, house.spare_entity)))


SUBJECTS = [
    _execution("version", lambda house: {"version": house.spare_version}),
    _execution("workflow", lambda house: {"workflow": house.spare}),
    _execution("workflow and version", _spare_workflow),
    _execution("entity", lambda house: {"entity": house.spare_entity}),
    _execution("context", lambda _: {"context_key": "Finding:0:"}),
    _execution("root", lambda house: {"root": house.ended}),
    _execution("parent", lambda house: {"parent": house.ended}),
    Subject(
        "terminal execution revived",
        on(lambda house: {"one that has completed": house.ended}, lambda _: {"status": "waiting"}),
        [*WRITES, *STOCK_ADMIN],
        refusal=guards.ExecutionEnded,
        says="which is final",
        service=SERVICE,
    ),
    Subject(
        "execution, through its own faces",
        on(_live),
        [*WALLED, *walled_api(lambda edit: f"executions/{edit.row.cuid}/")],
        refusal=guards.ExecutionFrozen,
        says="",
    ),
    Subject(
        "execution deleted",
        on(_live),
        DELETIONS,
        refusal=guards.ExecutionLive,
        says="cannot be deleted; cancel that one first",
        twin=_ended,
        legal=accepting(DELETIONS),
    ),
    _pin("version", lambda house: {"version": house.spare_version}),
    _pin("callee", lambda house: {"callee": house.spare}),
    _pin("callee and version", _spare_callee),
    _pin("root", lambda house: {"root": house.ended}),
    _pin("context", lambda _: {"context_key": "Finding:0:"}),
    _pin("hold", lambda _: {"live": False}),
    Subject(
        "pin deleted",
        on(_pins),
        DELETIONS,
        refusal=guards.ExecutionFrozen,
        says="A pin goes only with its execution.",
    ),
]
