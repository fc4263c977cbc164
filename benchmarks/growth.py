"""Cost of guards on a small and a large database.

    python -m benchmarks.growth --database postgresql
    python -m benchmarks.growth --database sqlite --json
    python -m benchmarks.growth --plans                 print every plan on the large data set

Two databases of one server: a small one (200 workflows, 100 executions) and a large one (10,000
workflows, 1,000,000 executions, and 50,000 live ones of one hot workflow). Each operation runs
on both in turn. The result is the ratio of the medians, with the quartiles of the ratios of single
turns. PostgreSQL does not wait for the disk at commit (``synchronous_commit = off``), because the
wait would make the ratios look better.

Exits with 1 if a claimed ratio is above 3, an operation takes more statements on the large data
set, or a plan there scans all executions, pins, steps, versions, references or workflows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from benchmarks import databases, plans
from benchmarks.population import (
    BUSY,
    ENDED,
    HOT,
    IDLE,
    PAIR,
    STARTS,
    STILL,
    Population,
    workflow_id,
)

LIMIT = 3.0
SETTINGS = "synchronous_commit = off\nautovacuum = off"
CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


@dataclass
class Measured:
    """One operation on both data sets."""

    name: str
    claimed: bool
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"small": [], "large": []})
    statements: dict[str, int] = field(default_factory=dict)
    plans: list[plans.Planned] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """The median of the large data set divided by that of the small one."""
        large, small = (statistics.median(self.seconds[size]) for size in ("large", "small"))
        return large / small

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles of the ratios of single turns."""
        pairs = zip(self.seconds["large"], self.seconds["small"], strict=True)
        low, _, high = statistics.quantiles([large / small for large, small in pairs], n=4)
        return low, high

    @property
    def scans(self) -> list[str]:
        return sorted({scan for plan in self.plans for scan in plan.scans})

    @property
    def failures(self) -> list[str]:
        """The violations of the claim."""
        found = [f"full scan: {scan}" for scan in self.scans]
        if self.ratio > LIMIT:
            found.append(f"takes {self.ratio:.1f} times as long")
        if self.statements["large"] > self.statements["small"]:
            found.append("takes more statements")
        return found if self.claimed else []

    def as_data(self) -> dict[str, Any]:
        low, high = self.spread
        return {
            "operation": self.name,
            "claimed": self.claimed,
            "ratio": round(self.ratio, 2),
            "quartiles": [round(low, 2), round(high, 2)],
            "statements": self.statements,
            "scans": self.scans,
            "failures": self.failures,
        }


class Operations:
    """The measured operations, the same on both data sets."""

    def __init__(self) -> None:
        from executions.models import Finding
        from workflows.models import FindingType, Workflow

        self.types = list(FindingType.objects.order_by("pk")[:TYPES_USED])
        self.workflows = {
            (family, member): Workflow.objects.get(pk=workflow_id(family, member))
            for family in range(ENDED + 1)
            for member in range(10)
        }
        start = self.workflows[STARTS, 0]
        self.finding = Finding.objects.filter(entity_name_type=start.entity_name_type_id).first()
        self.started: Any = None
        self.client: Any = None

    def _change(self, *places: tuple[int, int], refused: str = "", dry_run: bool = False) -> None:
        from workflows.editing import change_entity_context
        from workflows.models import Workflow
        from workflows.refusals import Refusal

        workflows = [self.workflows[place] for place in places]
        now = Workflow.objects.values_list("entity_name_type_id", flat=True).get(pk=workflows[0].pk)
        new = next(row for row in self.types if row.pk != now)
        try:
            change_entity_context(workflows, entity_name_type=new, dry_run=dry_run)
            code = ""
        except Refusal as refusal:
            code = refusal.code
        assert code == refused, f"{code or 'accepted'}, not {refused or 'accepted'}"

    def refused_own(self) -> None:
        self._change((BUSY, 0), refused="active_executions")

    def refused_dependents(self) -> None:
        self._change((BUSY, 5), refused="dependent_active_executions")

    def refused_mismatch(self) -> None:
        self._change((STILL, 1), refused="incompatible_entity_types")

    def refused_hot(self) -> None:
        self._change((HOT, 0), refused="active_executions")

    def refused_hot_dependents(self) -> None:
        self._change((HOT, 5), refused="dependent_active_executions")

    def refused_retirement(self) -> None:
        from workflows.editing import retire
        from workflows.refusals import Refusal

        with suppress(Refusal):
            retire(self.workflows[BUSY, 5])
            raise AssertionError("retired")

    def accepted(self) -> None:
        self._change((IDLE, 8))

    def accepted_ended(self) -> None:
        """Change and roll back, so that the ended executions keep the latest version."""
        from django.db import transaction

        with transaction.atomic():
            self._change((ENDED, 8))
            transaction.set_rollback(True)

    def accepted_pair(self) -> None:
        self._change((PAIR, 6), (PAIR, 7))

    def dry_run(self) -> None:
        self._change((IDLE, 8), dry_run=True)

    def saved(self) -> None:
        """Make the same change with ``save()``."""
        workflow = self.workflows[IDLE, 9]
        now = workflow.entity_name_type_id
        workflow.entity_name_type = next(row for row in self.types if row.pk != now)
        workflow.save()

    def start(self) -> None:
        from executions.engine import closures
        from executions.services import start

        workflow = self.workflows[STARTS, 0]
        # The process caches closures by id, and both data sets have the same ids.
        closures.forget_closure(workflow.pk)
        self.started = start(workflow, self.finding)

    def submit(self) -> None:
        from executions.services import submit

        submit(self.started, node="form", data={"n": 1})

    def cancel(self) -> None:
        from executions.services import cancel

        cancel(self.started)

    def admin_page(self) -> None:
        pk = self.workflows[BUSY, 0].pk
        self._get(f"/admin/workflows/workflow/{pk}/change/")

    def api_list(self) -> None:
        self._get("/api/v1/workflows/")

    def _get(self, path: str) -> None:
        if self.client is None:
            from django.contrib.auth import get_user_model
            from django.test import Client

            user = get_user_model().objects.create_superuser(f"operator{time.time_ns()}")
            self.client = Client(SERVER_NAME="localhost")
            self.client.force_login(user)
        assert self.client.get(path).status_code == 200

    def all(self) -> list[tuple[str, Callable[[], None], bool]]:
        """Return the name and function of each operation, and True if its ratio is claimed."""
        return [
            ("refused: own live executions", self.refused_own, True),
            ("refused: dependents' live executions", self.refused_dependents, True),
            ("refused: mismatch", self.refused_mismatch, True),
            ("refused: retirement of a callee", self.refused_retirement, True),
            ("refused: 50,000 own live (small: 25)", self.refused_hot, True),
            ("refused: 50,000 of dependents (small: 25)", self.refused_hot_dependents, False),
            ("accepted: one workflow", self.accepted, True),
            ("accepted: caller and callee", self.accepted_pair, True),
            ("accepted: 50,000 have ended (small: 25)", self.accepted_ended, True),
            ("accepted: through save()", self.saved, True),
            ("dry run", self.dry_run, True),
            ("start (six workflows, not cached)", self.start, True),
            ("submit (starts a child)", self.submit, True),
            ("cancel", self.cancel, True),
            ("admin page of a workflow", self.admin_page, False),
            ("API list of workflows", self.api_list, False),
        ]


TYPES_USED = 3


def count(function: Callable[[], None]) -> int:
    """Count the statements of a function, without transaction control."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        function()
    return sum(not query["sql"].startswith(CONTROL) for query in captured)


def measure(connections: dict[str, Any], repetitions: int) -> list[Measured]:
    """Run every operation on both data sets in turn."""
    operations: dict[str, Operations] = {}
    for size, connection in connections.items():
        databases.use(connection)
        operations[size] = Operations()
    both = zip(operations["small"].all(), operations["large"].all(), strict=True)
    rows = [
        (Measured(name, claimed), {"small": small, "large": large})
        for (name, small, claimed), (_, large, _) in both
    ]
    for turn in range(-2, repetitions):
        for row, functions in rows:
            if not row.claimed and turn >= max(3, repetitions // 5):
                continue
            for size in ("small", "large") if turn % 2 else ("large", "small"):
                databases.use(connections[size])
                if turn == -2:
                    with plans.planned() as found:
                        functions[size]()
                    row.plans = found if size == "large" else row.plans
                elif turn == -1:
                    row.statements[size] = count(functions[size])
                else:
                    before = time.perf_counter()
                    functions[size]()
                    row.seconds[size].append(time.perf_counter() - before)
    return [row for row, _ in rows]


def check(connection: Any, size: str) -> None:
    """Raise ``SystemExit`` if the data violates an invariant and proves nothing."""
    from executions import integrity

    databases.use(connection)
    found = integrity.find_violations()
    if found:
        raise SystemExit(f"The {size} data set violates invariants: {found[:3]}")


def main() -> int:
    """Build, measure and print. Return 1 if a claim fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=databases.VENDORS, default="postgresql")
    parser.add_argument("--workflows", type=int, default=10_000)
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--hot", type=int, default=50_000)
    parser.add_argument("--repetitions", type=int, default=101)
    parser.add_argument("--plans", action="store_true", help="print every plan")
    parser.add_argument(
        "--check", action="store_true", help="check the invariants of both data sets at the end"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    populations = {
        "small": Population(20, 50, 20, 25),
        "large": Population(options.workflows // 10, options.executions, 250, options.hot),
    }
    with databases.served(options.database, SETTINGS) as server:
        connections = {}
        for size, population in populations.items():
            server.create(size)
            if not connections:
                databases.django(server.url(size))
            connections[size] = databases.connect(size)
            databases.use(connections[size])
            from django.core.management import call_command

            call_command("migrate", verbosity=0)
            before = time.perf_counter()
            population.fill()
            print(f"{size}: filled in {time.perf_counter() - before:.0f} s", file=sys.stderr)
        measured = measure(connections, options.repetitions)
        for size, connection in connections.items():
            if options.check:
                check(connection, size)
            connection.close()
    if options.json:
        print(json.dumps([row.as_data() for row in measured], indent=2))
    else:
        show(measured, with_plans=options.plans)
    return 1 if any(row.failures for row in measured) else 0


def show(measured: list[Measured], *, with_plans: bool) -> None:
    """Print the table and the plans."""
    print(f"{'operation':42}{'ratio':>7}  {'quartiles':14}{'statements':>12}")
    for row in measured:
        low, high = row.spread
        statements = f"{row.statements['small']} → {row.statements['large']}"
        print(f"{row.name:42}{row.ratio:7.2f}  {f'{low:.2f} – {high:.2f}':14}{statements:>12}")
        for problem in row.failures:
            print(f"    {problem}")
    for row in measured if with_plans else ():
        print(f"\n{row.name}\n{'=' * len(row.name)}")
        for plan in row.plans:
            print(f"\n  {' '.join(plan.sql.split())}")
            print("\n".join(f"      {line}" for line in plan.lines))


if __name__ == "__main__":
    sys.exit(main())
