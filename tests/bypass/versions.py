"""Changes of versions and references, which are frozen when a graph is saved."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from tests.bypass.case import BypassCase, Values, edits_of, guarded_paths, write_once_case
from tests.bypass.edit_paths import DELETIONS, Defense, Edit, EditPath, load, run_async
from tests.bypass.interfaces import CLOSED_PATHS, closed_api_paths
from tests.bypass.live_data import CALLEE, TRANSITIVE, LiveData
from tests.factories import form, line, save_line
from workflows import guards
from workflows.models import Reference, Version

SAVE_GRAPH = "workflows.editing.save_graph()"


def _route(edit: Edit) -> str:
    return f"workflows/{edit.row.workflow.cuid}/{edit.row.number}/"


def _versions_in_use(data: LiveData) -> dict[str, Version]:
    return {
        "the running version": data.waiting.version,
        "the callee's version": data.waiting.pins.get(callee=data.workflows[CALLEE]).version,
        "the transitive callee's version": data.waiting.pins.get(
            callee=data.workflows[TRANSITIVE]
        ).version,
        "an older version in use": data.older.version,
    }


def _version(name: str, values: Values) -> BypassCase:
    return write_once_case(
        f"{name} of a version", _versions_in_use, values, guards.VersionInUse, SAVE_GRAPH
    )


def _superseded(data: LiveData) -> Edit:
    workflow = data.workflow("Saved twice", data.current_type)
    old = save_line(workflow, form())
    # No execution has used the older version.
    return Edit(_insert_copy(old, workflow.latest_version.number + 1))


def _insert_copy(version: Version, number: int) -> Version:
    later = Version(
        workflow=version.workflow,
        number=number,
        source=version.source,
        **{name: getattr(version, name) for name in ("entity_name", "entity_name_type")},
    )
    later.save()
    return version


def _references(data: LiveData) -> dict[str, Reference]:
    return {
        "a call of the running version": data.waiting.version.references.get(),
        "its callee's call": Reference.objects.get(callee=data.workflows[TRANSITIVE]),
        "a call of an older version in use": data.older.version.references.get(),
    }


def _reference(name: str, values: Values) -> BypassCase:
    name = f"{name} of a reference"
    return write_once_case(name, _references, values, guards.VersionInUse, SAVE_GRAPH)


def _added(data: LiveData) -> dict[str, Edit]:
    """Return references to calls that the graph of a stored version does not make."""
    # One node that does not exist, and one that calls nothing.
    nodes = itertools.cycle(["added", "start"])
    return {
        target: Edit(
            Reference(
                version=version,
                node_id=node,
                callee=data.spare,
                context_key=version.context_key,
            )
        )
        for (target, version), node in zip(_versions_in_use(data).items(), nodes, strict=False)
    }


def _insert(row: Reference) -> None:
    values = (row.version_id, row.node_id, row.callee_id, row.context_key, True)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO workflows_reference"
            " (version_id, node_id, callee_id, context_key, in_force)"
            " VALUES (%s, %s, %s, %s, %s)",
            values,
        )


def _path(name: str, defense: Defense, make: Callable[[Reference], Any]) -> EditPath:
    def apply_it(data: LiveData, edit: Edit) -> None:
        make(Reference(**_fields(edit.row)))

    return EditPath(name, apply_it, defense)


def _numbered(row: Reference) -> Reference:
    row.pk = 1_000_000
    return row


def _fields(row: Reference) -> dict[str, Any]:
    return {
        "version": row.version,
        "node_id": row.node_id,
        "callee": row.callee,
        "context_key": row.context_key,
    }


def _stock_add(data: LiveData, edit: Edit) -> Any:
    row = edit.row
    sent = {"version": row.version_id, "node_id": row.node_id, "callee": row.callee_id}
    return data.staff.post("/stock/workflows/reference/add/", sent, follow=True)


ADDITIONS = [
    _path("save", Defense.GUARD, lambda row: row.save()),
    _path("asave", Defense.GUARD, lambda row: run_async(row.asave)),
    _path("save_base", Defense.GUARD, lambda row: row.save_base()),
    _path("create", Defense.GUARD, lambda row: Reference.objects.create(**_fields(row))),
    _path(
        "acreate",
        Defense.GUARD,
        lambda row: run_async(lambda: Reference.objects.acreate(**_fields(row))),
    ),
    _path(
        "get_or_create", Defense.GUARD, lambda row: Reference.objects.get_or_create(**_fields(row))
    ),
    _path(
        "update_or_create",
        Defense.GUARD,
        lambda row: Reference.objects.update_or_create(
            version=row.version, node_id=row.node_id, defaults=_fields(row)
        ),
    ),
    _path(
        "create_through_the_plain_manager",
        Defense.GUARD,
        lambda row: Reference._base_manager.create(**_fields(row)),
    ),
    _path(
        "create_through_the_version",
        Defense.GUARD,
        lambda row: row.version.references.create(
            node_id=row.node_id, callee=row.callee, context_key=row.context_key
        ),
    ),
    _path("bulk_create", Defense.SERVICE, lambda row: Reference.objects.bulk_create([row])),
    _path(
        "abulk_create",
        Defense.SERVICE,
        lambda row: run_async(lambda: Reference.objects.abulk_create([row])),
    ),
    _path(
        "bulk_create_of_a_bare_queryset",
        Defense.KEY,
        lambda row: QuerySet[Reference](Reference).bulk_create([row]),
    ),
    _path("save_base_raw", Defense.KEY, lambda row: _numbered(row).save_base(raw=True)),
    _path("raw_sql", Defense.KEY, _insert),
    _path("loaddata", Defense.KEY, lambda row: load(_numbered(row))),
    EditPath("stock_add_form", _stock_add, Defense.PAGE),
]

CASES = [
    _version("source", lambda _: {"source": line(form("another"))}),
    _version("number", lambda _: {"number": 99}),
    _version("finding type", lambda data: {"entity_name_type": data.other_type}),
    _version("whole context", LiveData.other_context),
    _version("workflow", lambda data: {"workflow": data.spare, "number": 50}),
    BypassCase(
        "version, through its admin and API",
        edits_of(_versions_in_use),
        [*CLOSED_PATHS, *closed_api_paths(_route)],
        refusal=guards.VersionInUse,
        message="",
    ),
    BypassCase(
        "version deleted",
        edits_of(_versions_in_use),
        DELETIONS,
        refusal=guards.VersionInUse,
        message="cannot be deleted",
        legal_edit=_superseded,
        legal_paths=guarded_paths(DELETIONS),
    ),
    _reference("callee", lambda data: {"callee": data.spare}),
    _reference("node", lambda _: {"node_id": "elsewhere"}),
    _reference("version", lambda data: {"version": data.spare_version}),
    BypassCase(
        "reference deleted",
        edits_of(_references),
        DELETIONS,
        refusal=guards.VersionInUse,
        message="cannot be deleted without its version",
    ),
    BypassCase(
        "reference added",
        _added,
        ADDITIONS,
        refusal=guards.VersionInUse,
        message="has no node",
        service=SAVE_GRAPH,
    ),
]
