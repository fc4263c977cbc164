"""Cost of list pages and objects of the API, from ten to a million executions.

    python -m benchmarks.lists
    python -m benchmarks.lists --database sqlite --executions 100000

The databases have 10, 1,000, 100,000 and 1,000,000 executions. Each request runs through the API in
this process, on the database of 1,000 and on the largest in turn. The result is the ratio of the
95th percentiles, and of the medians. Statements are counted on all databases. PostgreSQL does not
wait for the disk at commit.

Exits with 1 if a claimed ratio is above 2, or a request takes more statements on a larger database.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks import databases
from benchmarks.growth import SETTINGS, count
from benchmarks.population import BUSY, HOT, Population, workflow_cuid, workflow_id

LIMIT = 2.0
BASE = 1_000
SIZES = (10, BASE, 100_000)


@dataclass
class Request:
    """A request, with its statements and durations by the size of the database."""

    name: str
    path: str
    claimed: bool = True
    limit: float = LIMIT
    percent: int = 95
    most_statements: int | None = None
    statements: dict[int, int] = field(default_factory=dict)
    seconds: dict[int, list[float]] = field(default_factory=dict)

    def ratio(self, percent: int) -> float:
        """Return the percentile on the largest database divided by that on 1,000 executions."""
        return _percentile(self.seconds[max(self.seconds)], percent) / _percentile(
            self.seconds[BASE], percent
        )

    @property
    def failures(self) -> list[str]:
        """The violations of the claim."""
        found = []
        ratio = self.ratio(self.percent)
        if self.claimed and ratio > self.limit:
            found.append(f"takes {ratio:.1f} times as long")
        numbers = [self.statements[size] for size in sorted(self.statements)]
        if self.most_statements is not None:
            if max(numbers) > self.most_statements:
                found.append(f"takes too many statements: {self.statements}")
        elif numbers != sorted(numbers, reverse=True):
            found.append(f"takes more statements: {self.statements}")
        return found


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def requests() -> list[Request]:
    """Return requests of lists and objects, with frequent and rare filter values."""
    busy, hot = (workflow_cuid(workflow_id(family, 0)) for family in (BUSY, HOT))
    queries = [
        ("executions", ""),
        ("page of 500", "?page_size=500"),
        ("status, common", "?status=completed"),
        ("status, one in ten", "?status=failed"),
        ("status, none", "?status=scheduled"),
        ("statuses", "?status=failed,cancelled"),
        ("live", "?live=true"),
        ("not live", "?live=false"),
        ("of a workflow", f"?workflow={busy}"),
        ("live of a workflow", f"?workflow={hot}&live=true"),
        ("who calls it", f"?calls={workflow_cuid(workflow_id(BUSY, 5))}&live=true"),
        ("incident", "?incident=true"),
        ("statuses by an operator", "?status__in=failed,cancelled"),
        ("started by an operator", "?started_at__gte={recent}"),
        ("included records", "?include=entity,workflow,open_steps"),
        ("included, page of 500", "?include=entity,workflow,open_steps&page_size=500"),
        ("overdue", "?overdue=true"),
        ("started recently", "?started_after={recent}"),
        ("ended recently", "?ended_after={recent}"),
        ("updated recently", "?updated_after={recent}&ordering=updated_at"),
        *((f"by {name}", f"?ordering={name}") for name in ("started_at", "-ended_at", "status")),
    ]
    found = [Request(name, f"executions/{query}") for name, query in queries]
    found += [
        Request("in the middle", "executions/?cursor={middle}"),
        Request("by status, in the middle", "executions/?ordering=status&cursor={by_status}"),
        Request("an execution", "executions/{execution}/"),
        Request("steps", "executions/{execution}/steps/"),
        Request("findings", "findings/"),
        Request("audit", "audit/"),
        Request("search of a cuid", "executions/?search={execution}"),
        Request("search of a title", "executions/?search=250"),
        Request("of a finding type", "executions/?entity_name_type={type}", claimed=False),
    ]
    for row in found:
        row.path = f"/api/v1/{row.path}"
    return found


class ApiClient:
    """A client of one database, with the values for the placeholders of paths."""

    def __init__(self) -> None:
        from datetime import timedelta

        from django.contrib.auth import get_user_model
        from django.test import Client
        from django.utils import timezone

        from executions.models import Execution
        from workflows.models import FindingType
        from workflows_project.api.cursors import Cursor, ordering_keys
        from workflows_project.api.pagination import cursor_signer

        sign = cursor_signer("/api/v1/executions/").sign
        user = get_user_model().objects.create_superuser("operator")
        self.client = Client(SERVER_NAME="localhost")
        self.client.force_login(user)
        rows = Execution.objects.order_by("pk")
        middle = rows[rows.count() // 2]
        by_status = rows.order_by("status", "pk")
        self.values = {
            "execution": middle.cuid,
            "recent": (timezone.now() - timedelta(minutes=5)).isoformat().replace("+", "%2B"),
            "middle": sign(Cursor([middle.pk]).text(ordering_keys(rows.order_by("-pk")))),
            "by_status": sign(Cursor(["completed", middle.pk]).text(ordering_keys(by_status))),
            "type": FindingType.objects.values_list("cuid", flat=True)[0],
        }

    def get(self, request: Request) -> None:
        response = self.client.get(request.path.format(**self.values))
        assert response.status_code == 200, response.content


def measure(
    found: list[Request],
    connections: dict[int, Any],
    repetitions: int,
    make_client: Callable[[], Any] = ApiClient,
) -> list[Request]:
    """Run every request on all databases, then on two of them in turn."""
    clients: dict[int, Any] = {}
    for size, connection in connections.items():
        databases.use(connection)
        clients[size] = make_client()
        for row in found:
            clients[size].get(row)
            row.statements[size] = count(lambda row=row, size=size: clients[size].get(row))
    ends = (BASE, max(connections))
    for turn in range(repetitions):
        for row in found:
            for size in ends if turn % 2 else ends[::-1]:
                databases.use(connections[size])
                before = time.perf_counter()
                clients[size].get(row)
                row.seconds.setdefault(size, []).append(time.perf_counter() - before)
    return found


def compare(
    description: str, found: list[Request], sizes: tuple[int, ...], make_client: Callable[[], Any]
) -> int:
    """Build, measure and print. Return 1 if a claim fails."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--database", choices=databases.VENDORS, default="postgresql")
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--repetitions", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    largest = options.executions
    wanted = sorted({*(size for size in sizes if size < largest), largest})
    with databases.served(options.database, SETTINGS) as server:
        connections: dict[int, Any] = {}
        for size in wanted:
            server.create(f"of{size}")
            if not connections:
                databases.django(server.url(f"of{size}"))
            connections[size] = databases.connect(f"of{size}")
            databases.use(connections[size])
            from django.core.management import call_command

            call_command("migrate", verbosity=0)
            Population(1000 if size > 100_000 else 20, size, 250 if size > BASE else 20, 5).fill()
            print(f"{size} executions created", file=sys.stderr)
        measured = measure(found, connections, options.repetitions, make_client)
        for connection in connections.values():
            connection.close()
    if options.json:
        print(json.dumps([_as_data(row) for row in measured], indent=2))
    else:
        print(f"{'request':32}{'p95':>6}{'p50':>6}{'statements':>12}")
        for row in measured:
            statements = sorted(set(row.statements.values()))
            columns = f"{row.ratio(95):6.2f}{row.ratio(50):6.2f}{statements!s:>12}"
            print(f"{row.name:32}{columns}{'' if row.claimed else '  (not claimed)'}")
            for problem in row.failures:
                print(f"    {problem}")
    return 1 if any(row.failures for row in measured) else 0


def _as_data(row: Request) -> dict[str, Any]:
    return {
        "request": row.name,
        "claimed": row.claimed,
        "p95": round(row.ratio(95), 2),
        "p50": round(row.ratio(50), 2),
        "statements": row.statements,
        "failures": row.failures,
    }


if __name__ == "__main__":
    sys.exit(compare(__doc__, requests(), SIZES, ApiClient))
