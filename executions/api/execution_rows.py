"""The JSON of an execution, read in one statement.

``execution_serializers.ExecutionSerializer`` declares its shape. A start and a submit know most of
it without reading it again (``advanced_executions``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth import get_user_model

from executions.engine.form_actions import list_actions
from executions.engine.store import IS_OPEN, store
from executions.engine.unassigned_sql import is_unassigned
from executions.models import ITEM, ITEMS, USER_ACTION, Execution, may_view_entity
from executions.workflow_manager import graph_of, graphs_of
from workflows.api.base.read_ahead import ReadAhead
from workflows.db import raw_rows
from workflows.db.prepared import ON_POSTGRESQL, Statement
from workflows.graph import RUN_WORKFLOW, Node
from workflows.models import Version
from workflows.refusals import Refusal

USER = get_user_model()


def _listed(columns: str, rows: str) -> str:
    """Return a subquery that returns its rows as one JSON list of lists of these columns."""
    lists, row = (
        ("json_agg", "json_build_array") if ON_POSTGRESQL else ("json_group_array", "json_array")
    )
    return f"(SELECT {lists}({row}({columns})) FROM ({rows}) r)"


def _json(column: str) -> str:
    return column if ON_POSTGRESQL else f"json({column})"


def _if_assigned(value: str) -> str:
    return f"CASE WHEN s.assignees <> '' THEN {value} END"


_VOTES = _listed(
    "r.username, r.approves, r.notes, r.at",
    "SELECT * FROM executions_vote v WHERE v.step_id = s.id ORDER BY v.id",
)
_CANDIDATES = _listed(
    "r.is_group, r.name",
    f"SELECT c.is_group, COALESCE(g.name, u.{USER.USERNAME_FIELD}, c.name) AS name"
    " FROM workflows_candidate c LEFT JOIN auth_group g ON g.id = c.group_id"
    f" LEFT JOIN {USER._meta.db_table} u ON u.id = c.user_id"
    " WHERE c.key = s.assignees ORDER BY c.id",
)
_CLAIMER = (
    f"(SELECT u.{USER.USERNAME_FIELD} FROM {USER._meta.db_table} u WHERE u.id = s.claimed_by_id)"
)
_DRAFT = "(SELECT d.data FROM executions_formdraft d WHERE d.step_id = s.id AND d.user_id = $2)"
_STEPS = _listed(
    "r.cuid, r.node_id, r.type, r.label, r.opened_at, r.due_at, r.overdue,"
    f" {_json('r.notice')},"
    f" {_json('r.own_draft')}, {_json('r.incident')}, {_json('r.votes')}, {_json('r.candidates')},"
    f" r.unassigned, r.claimer, r.claimed_at, {_json('r.called_with')}",
    f"SELECT s.*, {_VOTES} AS votes, {_DRAFT} AS own_draft,"
    f" {_if_assigned(_CANDIDATES)} AS candidates,"
    f" {_if_assigned(is_unassigned('s.assignees', 's.execution_id'))} AS unassigned,"
    f" {_CLAIMER} AS claimer,"
    f" CASE WHEN s.type = '{RUN_WORKFLOW}' THEN s.input END AS called_with"
    f" FROM {store.open_steps_table}"
    f" WHERE s.execution_id = x.id AND {IS_OPEN} ORDER BY s.id",
)
_CHILDREN = _listed(
    "r.cuid", "SELECT cuid FROM executions_execution c WHERE c.parent_id = x.id ORDER BY c.id DESC"
)
_PINS = _listed(
    "r.cuid, r.number",
    "SELECT w.cuid, v.number FROM executions_execution top"
    " JOIN executions_closuremember m ON m.closure_id = top.closure_id"
    " JOIN workflows_workflow w ON w.id = m.callee_id"
    " JOIN workflows_version v ON v.id = m.version_id"
    " WHERE top.id = COALESCE(x.root_id, x.id) ORDER BY m.id",
)
_COLUMNS = {
    "cuid": "x.cuid",
    "status": "x.status",
    "workflow": "w.cuid",
    "version": "v.number",
    "parent": "parent.cuid",
    "root": "root.cuid",
    "item": "x.item",
    "stage": "x.stage",
    "progress": "x.progress",
    "message": "x.message",
    "scheduled_for": "x.scheduled_for",
    "started_at": "x.started_at",
    "updated_at": "x.updated_at",
    "ended_at": "x.ended_at",
    "started_by": f"COALESCE(u.{USER.USERNAME_FIELD}, NULLIF(x.started_by_name, ''))",
    "version_id": "v.id",
    "checksum": "v.checksum",
    "entity_cuid": "e.cuid",
    "entity_title": "e.title",
    "entity_name": "e.entity_name",
    "entity_fields": "e.fields",
    "variables": "x.variables",
    "children": _CHILDREN,
    "pins": _PINS,
    "open_steps": _STEPS,
}
_FROM = (
    " FROM executions_execution x"
    " JOIN workflows_workflow w ON w.id = x.workflow_id"
    " JOIN workflows_version v ON v.id = x.version_id"
    " JOIN executions_entity e ON e.id = x.entity_id"
    f" LEFT JOIN {USER._meta.db_table} u ON u.id = x.started_by_id"
)
_ABOVE = (
    " LEFT JOIN executions_execution parent ON parent.id = x.parent_id"
    " LEFT JOIN executions_execution root ON root.id = x.root_id"
)
_READ = Statement(
    f"SELECT {', '.join(_COLUMNS.values())}{_FROM}{_ABOVE} WHERE x.id = $1", ("bigint", "bigint")
)
_IDS = (
    "SELECT value::bigint FROM json_array_elements_text($1::json)"
    if ON_POSTGRESQL
    else "SELECT value FROM json_each($1)"
)
_READ_OPEN_STEPS = Statement(
    f"SELECT x.id, v.id, v.number, v.checksum, {_STEPS} FROM executions_execution x"
    f" JOIN workflows_version v ON v.id = x.version_id WHERE x.id IN ({_IDS})",
    ("text", "bigint"),
)
_UNCHANGED = (
    *("cuid", "workflow", "scheduled_for", "started_at", "started_by"),
    *("entity_cuid", "entity_title", "children", "pins"),
)
"""The columns that an advance does not know. It changes none of them, but can add children."""
UNCHANGED_OF_ROOT = ReadAhead(
    f"SELECT {', '.join(f'{_COLUMNS[name]} AS {name}' for name in _UNCHANGED)},"
    f" x.xmin::text AS revision{_FROM} WHERE x.cuid = {{}} AND x.root_id IS NULL"
    if ON_POSTGRESQL
    else "",
    (*_UNCHANGED, "revision"),
)
"""The columns that the response of a submit needs besides the result of its advance, by cuid.

SQLite has no ``xmin``: there, the execution is read after the submit."""


def read_execution(execution: Execution, user: Any) -> dict[str, Any] | None:
    """Return the JSON of an execution for this user, as it is stored now.

    Returns:
        None when the execution has been deleted.
    """
    rows = _READ.execute([execution.pk, user.pk])
    return represent(dict(zip(_COLUMNS, rows[0], strict=True)), user) if rows else None


def read_open_steps(ids: list[int], user: Any) -> dict[int, list[dict[str, Any]]]:
    """Return the open steps of executions by the id of the execution, as this user sees them."""
    rows = _READ_OPEN_STEPS.execute([json.dumps(ids), user.pk])
    # Read the graphs of forms at once; ``graph_of`` would read each by a statement.
    graphs_of(Version.objects.filter(pk__in={row[1] for row in rows}))
    found = {}
    for execution, version_id, number, checksum, steps in rows:
        frozen = {"id": version_id, "number": number, "checksum": checksum}
        version = raw_rows.build_stored(Version, frozen)
        found[execution] = [_open_step(step, version) for step in _parsed(steps) or []]
    return found


def represent(row: Mapping[str, Any], user: Any) -> dict[str, Any]:
    """Return the JSON of an execution for this user from its row (``_COLUMNS``)."""
    frozen = {"id": row["version_id"], "number": row["version"], "checksum": row["checksum"]}
    version = raw_rows.build_stored(Version, frozen)
    return {
        "cuid": row["cuid"],
        "status": row["status"],
        "workflow": row["workflow"],
        "version": row["version"],
        "entity": {
            "cuid": row["entity_cuid"],
            "title": row["entity_title"],
            "entity_name": row["entity_name"],
            "fields": _visible(row, "entity_fields", user),
        },
        "parent": row["parent"],
        "root": row["root"],
        "item": row["item"],
        "stage": row["stage"],
        "progress": row["progress"],
        "message": row["message"],
        "scheduled_for": _instant(row["scheduled_for"]),
        "started_at": _instant(row["started_at"]),
        "updated_at": _instant(row["updated_at"]),
        "ended_at": _instant(row["ended_at"]),
        "started_by": row["started_by"],
        "variables": _visible(row, "variables", user),
        "children": [cuid for (cuid,) in _parsed(row["children"]) or []],
        "pins": [
            {"workflow": cuid, "version": number} for cuid, number in _parsed(row["pins"]) or []
        ],
        "open_steps": [_open_step(step, version) for step in _parsed(row["open_steps"]) or []],
    }


def _visible(row: Mapping[str, Any], name: str, user: Any) -> Any:
    """Return the fields or the variables: both may contain what the entity contains."""
    return _parsed(row[name]) if may_view_entity(user, row["entity_name"]) else None


def _open_step(values: list[Any], version: Version) -> dict[str, Any]:
    cuid, node, node_type, label, opened_at, due_at, overdue, notice, draft, incident = values[:10]
    votes, candidates, unassigned, claimer, claimed_at, called_with = values[10:]
    called_with = called_with or {}
    return {
        "step": cuid,
        "node": node,
        "type": node_type,
        "label": label,
        "item": called_with.get(ITEM),
        "item_counts": called_with if ITEMS in called_with else None,
        "since": _instant(opened_at),
        "due": _instant(due_at),
        "overdue": bool(overdue),
        "assignees": {
            "groups": [name for is_group, name in candidates or [] if is_group],
            "users": [name for is_group, name in candidates or [] if not is_group],
        },
        "unassigned": bool(unassigned) and incident is None,
        "claimed_by": claimer,
        "claimed_at": _instant(claimed_at) if claimer else None,
        "notice": notice
        and {
            "state": notice["state"],
            "reminder": notice.get("reminder", False),
            "at": _instant(notice["at"]),
            **{name: notice.get(name) for name in ("to", "subject", "code", "detail")},
        },
        "form": _form(version, node) if node_type == USER_ACTION else None,
        "draft": draft,
        "votes": [
            {"user": user, "approves": bool(approves), "notes": notes, "at": _instant(at)}
            for user, approves, notes, at in votes or []
        ],
        "incident": incident
        and {
            "code": incident["code"],
            "detail": incident["detail"],
            "at": _instant(incident["at"]),
            "attempt": incident.get("attempt", 1),
        },
    }


def _form(version: Version, node_id: str) -> dict[str, Any] | None:
    """Return the form of a user action in the version of the execution."""
    try:
        node = graph_of(version).node(node_id)
    except (Refusal, KeyError):
        # check_integrity reports a damaged version; its executions can still be read.
        return None
    return form_json(node)


def form_json(node: Node) -> dict[str, Any]:
    """Return the JSON of the form of a user action."""
    return {
        "title": node.data.get("title") or node.label,
        "button_label": node.data.get("button_label") or "Submit",
        "actions": list_actions(node.data),
        "fields": node.data.get("fields", []),
    }


def _parsed(value: Any) -> Any:
    # SQLite returns text; the driver of PostgreSQL has parsed it already.
    return json.loads(value) if isinstance(value, str) else value


def _instant(value: datetime | str | None) -> str | None:
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.isoformat().replace("+00:00", "Z")
