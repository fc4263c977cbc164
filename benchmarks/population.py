"""Bulk creation of workflows and executions with few statements.

Workflows belong to families of ten with the same finding type:

    0 → 1 → 3 → 5,  0 → 2 → 4      a caller, its callees, and their callees
    6 → 7                          a pair
    8, 9                           alone

Each has three versions, the last in force. One execution in twenty is live: at the form of a
workflow 0 or 8, or of a workflow 7 called by 6. Live executions have the highest ids, and one
family in ten has none. Families 0 to 9 are used for measurements, and are the same in every size.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

FAMILY = 10
TYPES = 20
CALLS = {0: (1, 2), 1: (3,), 2: (4,), 3: (5,), 6: (7,)}
CLOSURE_OF_0 = (1, 2, 3, 4, 5)

BUSY, STILL, IDLE, STARTS, HOT, PAIR, ENDED = range(7)
"""Families: few live executions of workflow 0; no live executions; an idle workflow 8; a workflow 0
to start; many live executions of 0; an idle pair; many ended executions of the latest version of 8.
"""

LIVE_OF_BUSY = 5
SPREAD = "(10 + ({n} / 9 % {decades}) * 10 + {n} % 9)"
SERIES = (
    "WITH RECURSIVE s(n) AS"
    " (SELECT CAST(0 AS bigint) UNION ALL SELECT n + 1 FROM s WHERE n < {last})"
)


def workflow_id(family: int, member: int) -> int:
    """Return the id of a member of a family."""
    return family * FAMILY + member + 1


def version_id(workflow: int, number: int = 3) -> int:
    """Return the id of a version of a workflow."""
    return 3 * (workflow - 1) + number


def workflow_cuid(workflow: int) -> str:
    return f"w{workflow:024d}"


def source(callees: list[int]) -> dict[str, Any]:
    """Return a graph with a form, followed by calls."""
    fields = [{"name": "n", "type": "number"}]
    nodes: list[dict[str, Any]] = [
        {"id": "start", "type": "start"},
        {"id": "form", "type": "user_action", "data": {"fields": fields}},
    ]
    for callee in callees:
        data = {"workflow": workflow_cuid(callee)}
        nodes.append({"id": f"call{callee}", "type": "run_workflow", "data": data})
    nodes.append({"id": "end", "type": "end"})
    edges = [{"source": a["id"], "target": b["id"]} for a, b in pairwise(nodes)]
    return {"nodes": nodes, "edges": edges}


class Population:
    """The contents of a database: numbers of families, executions, and entities per type."""

    def __init__(self, families: int, executions: int, entities: int, hot: int = 0) -> None:
        self.families = families
        self.executions = executions
        self.entities = entities
        self.hot = hot
        self.roots = executions * 3 // 80
        self.decades = families // 10 - 1

    def fill(self) -> None:
        """Write all rows, and update the statistics of the planner."""
        from django.db import connection, transaction

        with transaction.atomic():
            if connection.vendor == "postgresql":
                # Keys are not checked here. ``growth --check`` checks the invariants afterwards.
                self._execute("SET LOCAL session_replication_role = replica")
            self._types_and_entities()
            self._workflows()
            self._closures()
            self._executions()
            self._steps()
            self._reset_sequences()
        # VACUUM also updates the visibility map, as autovacuum does.
        self._execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")

    def _execute(self, sql: str) -> None:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(sql)

    def _insert(
        self, table: str, values: dict[str, str], rows: str, last: int | None = None
    ) -> None:
        """Insert one row per row of ``rows`` (a FROM clause), or per number from 0 to ``last``."""
        columns, expressions = ", ".join(values), ", ".join(values.values())
        series = SERIES.format(last=last) if last is not None else ""
        if last != -1:
            self._execute(f"INSERT INTO {table} ({columns}) {series} SELECT {expressions} {rows}")

    def _types_and_entities(self) -> None:
        from workflows.models import FindingType

        FindingType.objects.bulk_create(
            FindingType(pk=number + 1, name=f"Type {number}") for number in range(TYPES)
        )
        self._insert(
            "executions_entity",
            {
                "id": "n + 1",
                "cuid": _cuid("e", "n + 1"),
                "title": "'Finding ' || n",
                "entity_name": "'Finding'",
                "entity_name_type_id": f"n % {TYPES} + 1",
                "fields": "'{}'",
                "created_at": "CURRENT_TIMESTAMP",
                "updated_at": "CURRENT_TIMESTAMP",
            },
            "FROM s",
            self.entities * TYPES - 1,
        )

    def _workflows(self) -> None:
        from workflows.models import Reference, Version, Workflow

        workflows, versions, references = [], [], []
        for family in range(self.families):
            finding_type = family % TYPES + 1
            for member in range(FAMILY):
                pk = workflow_id(family, member)
                callees = [workflow_id(family, callee) for callee in CALLS.get(member, ())]
                workflows.append(
                    Workflow(
                        pk=pk,
                        cuid=workflow_cuid(pk),
                        title=f"{family}-{member}",
                        entity_name_type_id=finding_type,
                        state="active",
                    )
                )
                for number in (1, 2, 3):
                    row = Version(
                        pk=version_id(pk, number),
                        workflow_id=pk,
                        number=number,
                        source=source(callees),
                        entity_name_type_id=finding_type,
                        in_force=number == 3,
                    )
                    row.checksum = row.compute_checksum()
                    versions.append(row)
                    references += [
                        Reference(
                            version_id=row.pk,
                            node_id=f"call{callee}",
                            callee_id=callee,
                            context_key=row.context.key,
                            in_force=row.in_force,
                        )
                        for callee in callees
                    ]
        # Past the querysets that would give each workflow its versions one by one.
        Workflow._base_manager.bulk_create(workflows, batch_size=1000)
        Version._base_manager.bulk_create(versions, batch_size=1000)
        Reference._base_manager.bulk_create(references, batch_size=1000)

    def _executions(self) -> None:
        total, workflows = self.executions, self.families * FAMILY
        children = len(range(2, self.roots, 3))
        ended = total - LIVE_OF_BUSY - self.roots - children
        # 7919 is prime, so every workflow has its share before any has two.
        self._runs(
            f"((n * 7919 + n / {workflows}) % {workflows})",
            "n + 1",
            ended - 1,
            number="(1 + n % 3)",
            status="CASE n % 10 WHEN 0 THEN 'failed' WHEN 1 THEN 'cancelled' ELSE 'completed' END",
        )
        first_live = ended + 1
        self._runs(str(workflow_id(BUSY, 0) - 1), f"n + {first_live}", LIVE_OF_BUSY - 1)
        first_root = first_live + LIVE_OF_BUSY
        family = SPREAD.format(n="n", decades=self.decades)
        member = "CASE n % 3 WHEN 0 THEN 0 WHEN 1 THEN 8 ELSE 6 END"
        self._runs(f"({family} * 10 + {member})", f"n + {first_root}", self.roots - 1)
        first_child = first_root + self.roots
        family = SPREAD.format(n="(3 * n + 2)", decades=self.decades)
        parent = f"3 * n + 2 + {first_root}"
        self._runs(f"({family} * 10 + 7)", f"n + {first_child}", children - 1, parent_id=parent)
        first_hot = first_child + children
        self._runs(str(workflow_id(HOT, 0) - 1), f"n + {first_hot}", self.hot - 1)
        self._runs(
            str(workflow_id(ENDED, 8) - 1),
            f"n + {first_hot + self.hot}",
            self.hot - 1,
            status="'completed'",
        )

    def _runs(
        self,
        place: str,
        pk: str,
        last: int,
        *,
        number: str = "3",
        status: str = "'waiting'",
        parent_id: str = "NULL",
    ) -> None:
        """Executions 0 … ``last``; ``place`` is the id of the workflow less one."""
        finding_type = f"({place} / {FAMILY} % {TYPES} + 1)"
        age = f"({self.executions + 2 * self.hot} - ({pk}))"
        # A child works on what its parent works on.
        entity = f"({finding_type} + {TYPES} * (n % {self.entities}))"
        version = f"3 * {place} + {number}"
        if parent_id != "NULL":
            entity = f"({finding_type} + {TYPES} * ((3 * n + 2) % {self.entities}))"
        self._insert(
            "executions_execution",
            {
                "id": pk,
                "cuid": _cuid("x", pk),
                "workflow_id": f"{place} + 1",
                "version_id": version,
                "closure_id": "NULL"
                if parent_id != "NULL"
                else f"(SELECT c.id FROM executions_closure c WHERE c.version_id = {version})",
                "entity_id": entity,
                "parent_id": parent_id,
                "root_id": parent_id,
                "status": status,
                "context_key": f"'Finding:' || {finding_type} || ':'",
                "message": "''",
                "stage": "''",
                "started_at": _ago(f"{age} + 90"),
                "updated_at": _ago(age),
                "ended_at": "NULL" if status == "'waiting'" else _ago(age),
                "passed": _start(_cuid("s", f"({pk} * 4 + 1)")),
            },
            "FROM s",
            last,
        )

    def _closures(self) -> None:
        """Store the closures of the latest versions."""
        from executions.models import get_closure
        from workflows.models import Version

        callees = {0: CLOSURE_OF_0, 6: (7,)}
        latest = {row.workflow_id: row for row in Version.objects.latest_of_each().defer("source")}
        for pk, version in latest.items():
            place = (pk - 1) % FAMILY
            if place in callees:
                get_closure(version, [latest[pk - place + one] for one in callees[place]])

    def _steps(self) -> None:
        """Store the forms of all that is live, and of every fourth that has ended; live calls."""
        step = {
            "label": "''",
            "assignees": "''",
            "handle": "''",
            "overdue": "false",
            "attempt": "1",
            "opened_at": "CURRENT_TIMESTAMP",
        }
        calling = "((e.workflow_id - 1) % 10 = 6)"
        self._insert(
            "executions_step",
            {
                **step,
                "node_id": "'form'",
                "type": "'user_action'",
                "execution_id": "e.id",
                "cuid": _cuid("s", "(e.id * 4 + 2)"),
                "state": f"CASE WHEN e.live AND NOT {calling} THEN 'open' ELSE 'done' END",
            },
            "FROM executions_execution e WHERE e.live OR e.id % 4 = 0",
        )
        self._insert(
            "executions_step",
            {
                **step,
                "node_id": "'call' || e.workflow_id",
                "type": "'run_workflow'",
                "execution_id": "e.parent_id",
                "cuid": _cuid("s", "(e.parent_id * 4 + 3)"),
                "state": "'open'",
                "child_id": "e.id",
            },
            "FROM executions_execution e WHERE e.parent_id IS NOT NULL",
        )

    def _reset_sequences(self) -> None:
        from django.apps import apps
        from django.core.management.color import no_style
        from django.db import connection

        for sql in connection.ops.sequence_reset_sql(no_style(), apps.get_models()):
            self._execute(sql)


def _start(cuid: str) -> str:
    """Return the list of passed nodes of an execution that waits at its first form."""
    from django.db import connection

    kind = "jsonb" if connection.vendor == "postgresql" else "text"
    entry = f"""'[{{"step": "' || {cuid} || '", "node": "start", "type": "start"}}]'"""
    return f"CAST({entry} AS {kind})"


def _cuid(letter: str, number: str) -> str:
    # Added to a power of ten, a number has as many digits on both databases.
    return f"'{letter}00000000' || CAST(1000000000000000 + {number} AS text)"


def _ago(seconds: str) -> str:
    from django.db import connection

    if connection.vendor == "postgresql":
        return f"CURRENT_TIMESTAMP - ({seconds}) * INTERVAL '1 second'"
    return f"datetime('now', '-' || ({seconds}) || ' seconds')"
