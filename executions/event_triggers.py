"""Database triggers that write a webhook delivery for each event.

They act in the transaction of the event, and cover raw SQL. Without an active subscription, an
event costs one index lookup. All events of an execution happen under its lock, so the ids of its
deliveries rise in the order of its events.
"""

from __future__ import annotations

from workflows.db import write_once

_NEEDS = ("executions_subscription", "executions_outgoingdelivery")
_HAS_SUBSCRIBER = "EXISTS (SELECT 1 FROM executions_subscription WHERE state = 'active')"
_OBJECT = {"sqlite": "json_object", "postgresql": "jsonb_build_object"}
_NEW_ROW = {
    # Whole seconds: a due time of now must not lie a millisecond ahead.
    "sqlite": "'c' || lower(hex(randomblob(12))), s.id, e.event, {data},"
    " strftime('%Y-%m-%d %H:%M:%f', 'now'), 'waiting', strftime('%Y-%m-%d %H:%M:%S', 'now'), 0, 0",
    "postgresql": "'c' || left(replace(gen_random_uuid()::text, '-', ''), 24), s.id, e.event,"
    " {data}, clock_timestamp(), 'waiting', clock_timestamp(), 0, 0",
}
_SUBSCRIBES = {
    "sqlite": "e.event IN (SELECT value FROM json_each(s.events))",
    "postgresql": "s.events @> to_jsonb(e.event)",
}


def _insert(
    vendor: str, *, events: str, data: str, joins: str, workflow: str, types: str, order: str
) -> str:
    """Return the insert of a delivery for each subscriber of ``events`` (rows with ``event``)."""
    row = _NEW_ROW[vendor].format(data=f"{_OBJECT[vendor]}({data})")
    return (
        "INSERT INTO executions_outgoingdelivery"
        " (cuid, subscription_id, event, data, at, state, due_at, attempt, fence)"
        f" SELECT {row} FROM executions_subscription s CROSS JOIN ({events}) e {joins}"
        f" WHERE s.state = 'active' AND {_SUBSCRIBES[vendor]}"
        f" AND (s.workflow_id IS NULL OR s.workflow_id = {workflow})"
        f" AND (s.entity_name_type_id IS NULL OR s.entity_name_type_id IN ({types}))"
        f" ORDER BY {order}"
    )


def _register(
    name: str, table: str, event: str, *, sqlite: str, postgresql: str, when: dict[str, str]
) -> None:
    """Register a trigger: ``event`` (INSERT or UPDATE OF …) runs a statement if ``when`` holds."""
    on_sqlite = " AND ".join(filter(None, (when.get("sqlite"), _HAS_SUBSCRIBER)))
    on_postgresql = f" WHEN ({when['postgresql']})" if "postgresql" in when else ""
    write_once.register(
        write_once.CustomTrigger(
            name,
            table,
            _NEEDS,
            sqlite=(
                f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW"
                f" WHEN {on_sqlite} BEGIN {sqlite}; END",
            ),
            postgresql=(
                f"""
                CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF {_HAS_SUBSCRIBER} THEN
                        {postgresql};
                    END IF;
                    RETURN NULL;
                END $$
                """,
                f"CREATE OR REPLACE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW"
                f"{on_postgresql} EXECUTE FUNCTION {name}()",
            ),
        )
    )


_EXECUTION_DATA = (
    "'execution', {row}.cuid, 'status', {row}.status, 'workflow', w.cuid,"
    " 'version', v.number, 'entity', n.cuid, 'root', root.cuid, 'parent', parent.cuid,"
    " 'item', {row}.item"
)
_EXECUTION_JOINS = (
    "JOIN workflows_workflow w ON w.id = {row}.workflow_id"
    " JOIN workflows_version v ON v.id = {row}.version_id"
    " JOIN executions_entity n ON n.id = {row}.entity_id"
    " LEFT JOIN executions_execution root ON root.id = {row}.root_id"
    " LEFT JOIN executions_execution parent ON parent.id = {row}.parent_id"
)


def _execution(vendor: str, *, is_new: bool) -> str:
    is_started = "NEW.status IN ('active', 'waiting', 'completed', 'failed')"
    if not is_new:
        is_started += " AND OLD.status = 'scheduled'"
    return _insert(
        vendor,
        events=f"SELECT 1 AS place, CASE WHEN {is_started} THEN 'execution.started' END AS event"
        " UNION ALL SELECT 2, CASE WHEN NEW.status IN ('waiting', 'completed', 'failed',"
        " 'cancelled') THEN 'execution.' || NEW.status END",
        data=_EXECUTION_DATA.format(row="NEW"),
        joins=_EXECUTION_JOINS.format(row="NEW"),
        workflow="NEW.workflow_id",
        types="n.entity_name_type_id",
        order="e.place, s.id",
    )


_register(
    "executions_execution_begun",
    "executions_execution",
    "INSERT",
    sqlite=_execution("sqlite", is_new=True),
    postgresql=_execution("postgresql", is_new=True),
    when={},
)
_register(
    "executions_execution_went_on",
    "executions_execution",
    "UPDATE OF status",
    sqlite=_execution("sqlite", is_new=False),
    postgresql=_execution("postgresql", is_new=False),
    when=dict.fromkeys(("sqlite", "postgresql"), "OLD.status <> NEW.status"),
)

# Actions of people on steps and executions, by their audit entries

_BY_PEOPLE = {
    "executions_step_by_people": (
        ("claimed", "unclaimed", "reassigned", "postponed", "skipped"),
        ("node", "step"),
    ),
    "executions_comment_by_people": (
        ("commented", "comment_withdrawn"),
        ("node", "step", "comment"),
    ),
    "executions_form_by_people": (("submitted",), ("node", "step", "action")),
}
"""The actions of audit entries that are events, and the members of ``after`` that they send."""


def _by_people(vendor: str, members: tuple[str, ...]) -> str:
    member = {"sqlite": "json_extract(NEW.after, '$.{}')", "postgresql": "NEW.after -> '{}'"}[
        vendor
    ]
    named = ", ".join(f"'{name}', {member.format(name)}" for name in members)
    return _insert(
        vendor,
        events="SELECT 'execution.' || NEW.action AS event",
        data=f"{_EXECUTION_DATA.format(row='x')}, {named}",
        joins="JOIN executions_execution x ON x.cuid = NEW.cuid "
        + _EXECUTION_JOINS.format(row="x"),
        workflow="x.workflow_id",
        types="n.entity_name_type_id",
        order="s.id",
    )


def _moved(vendor: str) -> str:
    return _insert(
        vendor,
        events="SELECT 'execution.moved' AS event",
        data=f"{_EXECUTION_DATA.format(row='x')}, 'from_version', f.number",
        joins="JOIN executions_execution x ON x.id = NEW.execution_id"
        " JOIN workflows_version f ON f.id = NEW.from_version_id "
        + _EXECUTION_JOINS.format(row="x"),
        workflow="x.workflow_id",
        types="n.entity_name_type_id",
        order="s.id",
    )


for _name, (_actions, _members) in _BY_PEOPLE.items():
    _register(
        _name,
        "workflows_auditentry",
        "INSERT",
        sqlite=_by_people("sqlite", _members),
        postgresql=_by_people("postgresql", _members),
        when=dict.fromkeys(
            ("sqlite", "postgresql"),
            "(NEW.kind = 'execution' AND NOT NEW.refused"
            f" AND NEW.action IN ({', '.join(map(repr, _actions))}))",
        ),
    )
_register(
    "executions_execution_moved",
    "executions_move",
    "INSERT",
    sqlite=_moved("sqlite"),
    postgresql=_moved("postgresql"),
    when={},
)

# Changes of entity contexts

_CONTEXT = ("entity_name", "entity_name_type_id", "primary_record_type_id")


def _cuid(of: str, pk: str) -> str:
    return f"(SELECT t.cuid FROM workflows_{of} t WHERE t.id = {pk})"


def _context(vendor: str, row: str) -> str:
    return (
        f"{_OBJECT[vendor]}('entity_name', {row}.entity_name,"
        f" 'entity_name_type', {_cuid('findingtype', f'{row}.entity_name_type_id')},"
        f" 'primary_record_type_id', {_cuid('recordtype', f'{row}.primary_record_type_id')})"
    )


def _applied(vendor: str) -> str:
    return _insert(
        vendor,
        events="SELECT 'change.applied' AS event",
        data=f"'workflow', NEW.cuid, 'from', {_context(vendor, 'OLD')},"
        f" 'to', {_context(vendor, 'NEW')}",
        joins="",
        workflow="NEW.id",
        types="OLD.entity_name_type_id, NEW.entity_name_type_id",
        order="s.id",
    )


_register(
    "executions_change_applied",
    "workflows_workflow",
    f"UPDATE OF {', '.join(_CONTEXT)}",
    sqlite=_applied("sqlite"),
    postgresql=_applied("postgresql"),
    when={
        "sqlite": "(" + " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in _CONTEXT) + ")",
        "postgresql": f"({', '.join(f'OLD.{name}' for name in _CONTEXT)}) IS DISTINCT FROM"
        f" ({', '.join(f'NEW.{name}' for name in _CONTEXT)})",
    },
)


def _refused(vendor: str) -> str:
    """Return the insert for a refusal in the audit log, of a workflow or a pending change."""

    def wanted(name: str, now: str) -> str:
        if vendor == "sqlite":
            given = f"json_type(NEW.after, '$.{name}') IS NOT NULL"
            return f"CASE WHEN {given} THEN json_extract(NEW.after, '$.{name}') ELSE {now} END"
        return f"CASE WHEN jsonb_exists(NEW.after, '{name}') THEN NEW.after ->> '{name}'" + (
            f" ELSE {now} END"
        )

    finding_type = wanted("entity_name_type", _cuid("findingtype", "w.entity_name_type_id"))
    record_type = wanted("primary_record_type", _cuid("recordtype", "w.primary_record_type_id"))
    members = {
        "sqlite": "SELECT value FROM json_each(NEW.after, '$.workflows')",
        "postgresql": "SELECT jsonb_array_elements_text(NEW.after -> 'workflows')",
    }[vendor]
    return _insert(
        vendor,
        events="SELECT 'change.refused' AS event",
        data="'workflow', w.cuid, 'code', CASE WHEN NEW.refused THEN NEW.code ELSE"
        " (SELECT p.code FROM workflows_pendingchange p WHERE p.cuid = NEW.cuid) END,"
        f" 'from', {_context(vendor, 'w')}, 'to', {_OBJECT[vendor]}("
        f"'entity_name', {wanted('entity_name', 'w.entity_name')},"
        f" 'entity_name_type', {finding_type}, 'primary_record_type_id', {record_type})",
        joins="JOIN workflows_workflow w ON CASE WHEN NEW.refused THEN w.cuid = NEW.cuid"
        f" ELSE w.cuid IN ({members}) END",
        workflow="w.id",
        types="w.entity_name_type_id,"
        f" (SELECT t.id FROM workflows_findingtype t WHERE t.cuid = {finding_type})",
        order="w.id, s.id",
    )


_NAMES = ("entity_name", "entity_name_type", "primary_record_type")
_SETTLED = "(NEW.kind = 'pending change' AND NEW.action = 'not_applied')"
_CHANGED = "NEW.refused AND NEW.kind = 'workflow' AND NEW.action = 'changed'"

_register(
    "executions_change_refused",
    "workflows_auditentry",
    "INSERT",
    sqlite=_refused("sqlite"),
    postgresql=_refused("postgresql"),
    when={
        "sqlite": f"({_SETTLED} OR ({_CHANGED} AND ("
        + " OR ".join(f"json_type(NEW.after, '$.{name}') IS NOT NULL" for name in _NAMES)
        + ")))",
        "postgresql": f"{_SETTLED} OR ({_CHANGED} AND ("
        + " OR ".join(f"jsonb_exists(NEW.after, '{name}')" for name in _NAMES)
        + "))",
    },
)
