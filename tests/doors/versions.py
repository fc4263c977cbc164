"""What is frozen when a graph is saved: versions, and the references between them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from tests.doors.faces import WALLED, walled_api
from tests.doors.house import CALLEE, TRANSITIVE, House
from tests.doors.subject import Subject, Values, accepting, on, written_once
from tests.doors.ways import DELETIONS, Behind, Edit, Way, awaited, load
from tests.factories import form, line, save_line
from workflows import guards
from workflows.models import Reference, Version

SAVE_GRAPH = "workflows.editing.save_graph()"


def _route(edit: Edit) -> str:
    return f"workflows/{edit.row.workflow.cuid}/{edit.row.number}/"


def _held(house: House) -> dict[str, Version]:
    return {
        "the version that runs": house.waiting.version,
        "its callee's": house.waiting.pins.get(callee=house.workflows[CALLEE]).version,
        "its transitive callee's": house.waiting.pins.get(
            callee=house.workflows[TRANSITIVE]
        ).version,
        "an older running version": house.older.version,
    }


def _version(name: str, values: Values) -> Subject:
    return written_once(f"{name} of a version", _held, values, guards.VersionInUse, SAVE_GRAPH)


def _superseded(house: House) -> Edit:
    workflow = house.workflow("Drawn twice", house.kind)
    old = save_line(workflow, form())
    # An execution that has ended keeps no version but its own, and lets go of that one too.
    return Edit(_copy(old, workflow.latest_version.number + 1))


def _copy(version: Version, number: int) -> Version:
    later = Version(
        workflow=version.workflow,
        number=number,
        source=version.source,
        **{name: getattr(version, name) for name in ("entity_name", "entity_name_type")},
    )
    later.save()
    return version


def _references(house: House) -> dict[str, Reference]:
    return {
        "the call that runs": house.waiting.version.references.get(),
        "its callee's call": Reference.objects.get(callee=house.workflows[TRANSITIVE]),
        "a call of an older running version": house.older.version.references.get(),
    }


def _reference(name: str, values: Values) -> Subject:
    name = f"{name} of a reference"
    return written_once(name, _references, values, guards.VersionInUse, SAVE_GRAPH)


def _added(house: House) -> dict[str, Edit]:
    """Edits of no row: a call that the graph of a stored version does not make."""
    # A node that is not there, and one that is and calls nobody.
    nodes = itertools.cycle(["added", "start"])
    return {
        target: Edit(
            Reference(
                version=version,
                node_id=node,
                callee=house.spare,
                context_key=version.context_key,
            )
        )
        for (target, version), node in zip(_held(house).items(), nodes, strict=False)
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


def _way(name: str, behind: Behind, make: Callable[[Reference], Any]) -> Way:
    def open_it(house: House, edit: Edit) -> None:
        make(Reference(**_fields(edit.row)))

    return Way(name, open_it, behind)


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


def _stock_add(house: House, edit: Edit) -> Any:
    row = edit.row
    sent = {"version": row.version_id, "node_id": row.node_id, "callee": row.callee_id}
    return house.staff.post("/stock/workflows/reference/add/", sent, follow=True)


ADDITIONS = [
    _way("save", Behind.GUARD, lambda row: row.save()),
    _way("asave", Behind.GUARD, lambda row: awaited(row.asave)),
    _way("save_base", Behind.GUARD, lambda row: row.save_base()),
    _way("create", Behind.GUARD, lambda row: Reference.objects.create(**_fields(row))),
    _way(
        "acreate",
        Behind.GUARD,
        lambda row: awaited(lambda: Reference.objects.acreate(**_fields(row))),
    ),
    _way(
        "get_or_create", Behind.GUARD, lambda row: Reference.objects.get_or_create(**_fields(row))
    ),
    _way(
        "update_or_create",
        Behind.GUARD,
        lambda row: Reference.objects.update_or_create(
            version=row.version, node_id=row.node_id, defaults=_fields(row)
        ),
    ),
    _way(
        "create_through_the_plain_manager",
        Behind.GUARD,
        lambda row: Reference._base_manager.create(**_fields(row)),
    ),
    _way(
        "create_through_the_version",
        Behind.GUARD,
        lambda row: row.version.references.create(
            node_id=row.node_id, callee=row.callee, context_key=row.context_key
        ),
    ),
    _way("bulk_create", Behind.SERVICE, lambda row: Reference.objects.bulk_create([row])),
    _way(
        "abulk_create",
        Behind.SERVICE,
        lambda row: awaited(lambda: Reference.objects.abulk_create([row])),
    ),
    _way(
        "bulk_create_of_a_bare_queryset",
        Behind.KEY,
        lambda row: QuerySet[Reference](Reference).bulk_create([row]),
    ),
    _way("save_base_raw", Behind.KEY, lambda row: _numbered(row).save_base(raw=True)),
    _way("raw_sql", Behind.KEY, _insert),
    _way("loaddata", Behind.KEY, lambda row: load(_numbered(row))),
    Way("stock_add_form", _stock_add, Behind.PAGE),
]

SUBJECTS = [
    _version("source", lambda _: {"source": line(form("another"))}),
    _version("number", lambda _: {"number": 99}),
    _version("finding type", lambda house: {"entity_name_type": house.other_kind}),
    _version("whole context", House.other_context),
    _version("workflow", lambda house: {"workflow": house.spare, "number": 50}),
    Subject(
        "version, through its own faces",
        on(_held),
        [*WALLED, *walled_api(_route)],
        refusal=guards.VersionInUse,
        says="",
    ),
    Subject(
        "version deleted",
        on(_held),
        DELETIONS,
        refusal=guards.VersionInUse,
        says="cannot be deleted",
        twin=_superseded,
        legal=accepting(DELETIONS),
    ),
    _reference("callee", lambda house: {"callee": house.spare}),
    _reference("node", lambda _: {"node_id": "elsewhere"}),
    _reference("version", lambda house: {"version": house.spare_version}),
    Subject(
        "reference deleted",
        on(_references),
        DELETIONS,
        refusal=guards.VersionInUse,
        says="cannot be deleted without its version",
    ),
    Subject(
        "reference added",
        _added,
        ADDITIONS,
        refusal=guards.VersionInUse,
        says="has no node",
        service=SAVE_GRAPH,
    ),
]
