"""Changes of what an execution fixes at its start, and of its final status."""

from __future__ import annotations

from typing import Any

from executions import guards
from executions import services as running
from executions.models import Closure, ClosureMember, Execution
from tests.bypass.case import BypassCase, Values, edits_of, guarded_paths, write_once_case
from tests.bypass.edit_paths import DELETIONS, WRITES, Edit
from tests.bypass.interfaces import CLOSED_PATHS, STOCK_ADMIN, closed_api_paths
from tests.bypass.live_data import CALLEE, OLDER, TRANSITIVE, LiveData
from tests.factories import form, save_line

SERVICE = "executions.services"


def _live(data: LiveData) -> dict[str, Execution]:
    return {
        "waiting execution": data.waiting,
        "execution with a waiting child": data.calling,
        "child execution": data.child,
        "execution of an older version": data.older,
    }


def _execution(name: str, values: Values) -> BypassCase:
    return write_once_case(
        f"{name} of an execution", _live, values, guards.ExecutionFrozen, SERVICE
    )


def _with_other_closure(data: LiveData) -> dict[str, Execution]:
    return {name: row for name, row in _live(data).items() if row != data.older}


def _pins(data: LiveData) -> dict[str, ClosureMember]:
    of = data.waiting.pins
    return {
        "pin of the callee": of.get(callee=data.workflows[CALLEE]),
        "pin of the transitive callee": of.get(callee=data.workflows[TRANSITIVE]),
        "pin of a callee of an older version": data.older.pins.get(callee=data.workflows[OLDER]),
    }


def _closures(data: LiveData) -> dict[str, Closure]:
    assert data.waiting.closure is not None
    assert data.older.closure is not None
    return {
        "closure of the waiting execution": data.waiting.closure,
        "closure of an execution of an older version": data.older.closure,
    }


def _closure(name: str, values: Values) -> BypassCase:
    return write_once_case(
        f"{name} of a closure", _closures, values, guards.ExecutionFrozen, SERVICE
    )


def _pin(name: str, values: Values) -> BypassCase:
    return write_once_case(f"{name} of a pin", _pins, values, guards.ExecutionFrozen, SERVICE)


def _spare_workflow(data: LiveData) -> dict[str, Any]:
    return {"workflow": data.spare, "version": data.spare_version}


def _spare_callee(data: LiveData) -> dict[str, Any]:
    return {"callee": data.spare, "version": data.spare_version}


def _ended(data: LiveData) -> Edit:
    workflow = data.workflow("Ended", data.current_type)
    save_line(workflow, form())
    return Edit(running.cancel(running.start(workflow, data.spare_entity)))


CASES = [
    _execution("version", lambda data: {"version": data.spare_version}),
    _execution("workflow", lambda data: {"workflow": data.spare}),
    _execution("workflow and version", _spare_workflow),
    _execution("entity", lambda data: {"entity": data.spare_entity}),
    _execution("context", lambda _: {"context_key": "Finding:0:"}),
    _execution("root", lambda data: {"root": data.ended}),
    _execution("parent", lambda data: {"parent": data.ended}),
    _execution("passed nodes", lambda _: {"passed": []}),
    BypassCase(
        "terminal execution revived",
        edits_of(lambda data: {"completed execution": data.ended}, lambda _: {"status": "waiting"}),
        [*WRITES, *STOCK_ADMIN],
        refusal=guards.ExecutionEnded,
        message="which is final",
        service=SERVICE,
    ),
    write_once_case(
        "text of a comment",
        lambda data: {"comment": data.comment},
        lambda _: {"text": "after"},
        guards.ExecutionFrozen,
        SERVICE,
    ),
    BypassCase(
        "execution, through its admin and API",
        edits_of(_live),
        [*CLOSED_PATHS, *closed_api_paths(lambda edit: f"executions/{edit.row.cuid}/")],
        refusal=guards.ExecutionFrozen,
        message="",
    ),
    BypassCase(
        "execution deleted",
        edits_of(_live),
        DELETIONS,
        refusal=guards.ExecutionLive,
        message="Cancel ",
        legal_edit=_ended,
        legal_paths=guarded_paths(DELETIONS),
    ),
    _pin("version", lambda data: {"version": data.spare_version}),
    _pin("callee", lambda data: {"callee": data.spare}),
    _pin("callee and version", _spare_callee),
    write_once_case(
        "closure of a pin",
        lambda data: dict(list(_pins(data).items())[:2]),
        lambda data: {"closure": data.older.closure},
        guards.ExecutionFrozen,
        SERVICE,
    ),
    _pin("context", lambda _: {"key": "Finding:0:"}),
    _pin("hold", lambda _: {"key": None}),
    BypassCase(
        "pin deleted",
        edits_of(_pins),
        DELETIONS,
        refusal=guards.ExecutionFrozen,
        message="A pin can be deleted only together with its closure.",
    ),
    write_once_case(
        "closure of an execution",
        _with_other_closure,
        lambda data: {"closure": data.older.closure},
        guards.ExecutionFrozen,
        SERVICE,
    ),
    BypassCase(
        "closure removed from an execution",
        edits_of(lambda data: {"waiting execution": data.waiting}, lambda _: {"closure": None}),
        [path for path in WRITES if path.name != "add_to_a_related_manager"],
        refusal=guards.ExecutionFrozen,
        message="cannot be changed",
        service=SERVICE,
    ),
    _closure("version", lambda data: {"version": data.spare_version}),
    _closure("workflow", lambda data: {"workflow": data.spare}),
    _closure("checksum", lambda _: {"checksum": "0" * 64}),
    _closure("context", lambda _: {"context_key": "Finding:0:"}),
    _closure("hold", lambda _: {"context_key": None}),
    BypassCase(
        "closure deleted",
        edits_of(_closures),
        DELETIONS,
        refusal=guards.ExecutionFrozen,
        message="A closure cannot be deleted while an execution uses it.",
    ),
]
