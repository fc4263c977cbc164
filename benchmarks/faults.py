"""Break each part of an installation under load: what do clients see, and is anything lost?

    python -m benchmarks.faults
    python -m benchmarks.faults --poolers "" transaction --faults redis worker --json faults.json

Starts everything that ``deploy/`` describes on this machine. Clients start executions through nginx
and submit them; each then waits for a timer, calls a server that counts, and runs another workflow.
Each request has its own Idempotency-Key, and is repeated with it until it succeeds. For each fault,
a part is broken for some seconds and repaired.

Exits with 1 unless every execution that a client started completes exactly once, its call was made
with one key, every failed request has Retry-After and one line in the log, and all invariants hold.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import ssl
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import databases
from benchmarks.breakages import FAULTS, Fault
from benchmarks.fault_load import Answers, Client, prepare
from benchmarks.installation import Database, Installation, missing_programs
from benchmarks.kill_workers import Counting
from benchmarks.processes import until

POOLERS = ("", "session", "transaction")
NAMES = ("none", "session", "transaction")
CALM = 2.0
HEALED_WITHIN = 60.0
MEGABYTES = 400


def log_lines(log: Path, begin: int) -> dict[str, Any]:
    """Return the failed requests in a log, and the lines about them."""
    with log.open("rb") as lines:
        lines.seek(begin)
        text = lines.read().decode(errors="replace").splitlines()
    rows, others = [], 0
    for line in text:
        try:
            rows.append(json.loads(line))
        except ValueError:
            # gunicorn's own lines begin with the time in brackets.
            others += not line.startswith("[")
    failed = {r["request_id"] for r in rows if r.get("status", 0) >= 500}
    about = Counter(r["request_id"] for r in rows if r.get("request_id") in failed)
    return {
        "failed": len(failed),
        "lines": round((sum(about.values()) + others) / len(failed), 2) if failed else 0,
    }


def check_nothing_lost(answers: Answers, counting: Counting) -> list[str]:
    """Return what is wrong with the executions that the clients started."""
    from django.db import connection
    from django.db.models import F

    from executions import integrity
    from executions.models import Execution, Step

    connection.close()
    roots = dict(Execution.objects.filter(parent=None).values_list("cuid", "status"))
    children = Execution.objects.exclude(parent=None).count()
    returned = {cuid for cuids in answers.started.values() for cuid in cuids}
    found = {
        "a key returned two executions": any(len(one) > 1 for one in answers.started.values()),
        "executions are missing": returned - set(roots),
        "executions were started twice": set(roots) - returned,
        "executions have not completed": {c for c, s in roots.items() if s != "completed"},
        "a child is missing or double": children != len(roots),
        "a call is missing or has two keys": len(counting.calls) != len(roots),
        "a timer fired early": Step.objects.filter(type="wait", closed_at__lt=F("due_at")).count(),
        "invariants are violated": integrity.find_violations(),
    }
    return [f"{text}: {str(value)[:200]}" for text, value in found.items() if value]


@dataclass
class Rehearsal:
    """One installation under load, and the results of its faults."""

    installation: Installation
    database: Database
    counting: Counting
    token: str
    body: dict[str, str]
    answers: Answers = field(default_factory=Answers)

    def play(self, fault: Fault) -> dict[str, Any]:
        """Break and repair one part under load. Return what happened."""
        answers, log = self.answers, self.installation.log
        answers.statuses, answers.without_retry = Counter(), Counter()
        answers.succeeded, answers.problems = [], []
        at = log.stat().st_size
        clients = [Client(self.installation.port, self.token, self.body, answers) for _ in range(4)]
        for client in clients:
            client.start()
        time.sleep(CALM)
        fault.begin(self.installation)
        time.sleep(fault.seconds)
        fault.end(self.installation)
        repaired = time.monotonic()
        healed = self._wait_until_healed(repaired)
        jobs = self._wait_for_jobs(repaired)
        for client in clients:
            client.ending.set()
        for client in clients:
            client.join(90)
        lost = self._wait_until_complete() or check_nothing_lost(answers, self.counting)
        stuck = [client for client in clients if client.is_alive()]
        result = {
            "fault": fault.title,
            "seconds": fault.seconds,
            "statuses": dict(sorted(answers.statuses.items())),
            "without Retry-After": dict(answers.without_retry),
            **{f"log {k}": v for k, v in log_lines(log, at).items()},
            "requests healed after": round(healed, 1),
            "jobs healed after": round(jobs, 1),
            "wrong": lost + (["a client waits"] if stuck else []),
        }
        if answers.problems:
            result["examples"] = answers.problems[:2]
        return result

    def _wait_until_healed(self, repaired: float) -> float:
        def ends() -> list[float]:
            return [end for began, end in list(self.answers.succeeded) if began >= repaired]

        with suppress(TimeoutError):
            until(lambda: len(ends()) > 3, "a response", HEALED_WITHIN)
            return min(ends()) - repaired
        return HEALED_WITHIN

    def _wait_for_jobs(self, repaired: float) -> float:
        with suppress(TimeoutError):
            until(lambda: self.database.count_late_jobs() == 0, "late jobs", HEALED_WITHIN)
            return time.monotonic() - repaired
        return HEALED_WITHIN

    def _wait_until_complete(self) -> list[str]:
        live = (
            "SELECT count(*) FROM executions_execution WHERE status NOT IN"
            " ('completed', 'failed', 'cancelled')"
        )

        def none_live() -> bool:
            connection = self.database.connect()
            try:
                with connection.cursor() as cursor:
                    cursor.execute(live)
                    return cursor.fetchone()[0] == 0
            finally:
                connection.close()

        try:
            until(none_live, "executions to complete", HEALED_WITHIN)
        except TimeoutError as error:
            return [str(error)]
        return []


@contextmanager
def prepared() -> Iterator[Callable[[str], Any]]:
    """Prepare a database. Yield a function that runs an installation on it, by its pooler."""
    directory = Path(tempfile.mkdtemp(prefix="faults-"))
    database = Database(directory, MEGABYTES)
    counting, answers = Counting(), Answers()

    @contextmanager
    def installed(pooler: str) -> Iterator[Rehearsal]:
        own = directory / (pooler or "none")
        own.mkdir()
        own.chmod(0o755)
        host = f"127.0.0.1:{counting.port}"
        installation = Installation(own, database, pooler, host)
        try:
            installation.start()
            until(lambda: is_ready(installation), "the installation", 120)
            yield Rehearsal(installation, database, counting, token, body, answers)
        finally:
            installation.stop()

    try:
        with counting.serving():
            database.start()
            databases.django(database.url())
            token, body = prepare(counting)
            yield installed
    finally:
        database.close()
        if os.environ.get("KEEP_LOGS"):
            print(f"The logs are in {directory}.", file=sys.stderr)
        else:
            shutil.rmtree(directory, ignore_errors=True)


def is_ready(installation: Installation) -> bool:
    """Return True if the proxy, the server, the database and a worker are ready."""
    context = ssl._create_unverified_context()
    with suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPSConnection(
            "127.0.0.1", installation.port, timeout=5, context=context
        )
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    return False


def run(poolers: list[str], names: list[str]) -> Iterator[dict[str, Any]]:
    """Play these faults in installations with these poolers. Yield their results."""
    with prepared() as installed:
        for pooler in poolers:
            with installed(pooler) as rehearsal:
                has = {
                    "pooler": bool(pooler),
                    "direct": not pooler,
                    "disk": rehearsal.database.has_disk,
                }
                for name in names:
                    fault = FAULTS[name]
                    if fault.needs and not has[fault.needs]:
                        continue
                    row = {"pooler": pooler or "none", **rehearsal.play(fault)}
                    print(json.dumps(row), file=sys.stderr, flush=True)
                    yield row


def is_wrong(row: dict[str, Any]) -> bool:
    """Return True if something was lost, a failed request has no Retry-After, or logs too much."""
    errors = {k: v for k, v in row["without Retry-After"].items() if not k.startswith("no resp")}
    late = HEALED_WITHIN in (row["requests healed after"], row["jobs healed after"])
    return bool(row["wrong"] or errors or row["log lines"] > 1 or late)


def format_table(rows: list[dict[str, Any]]) -> str:
    """Return the results as a table in Markdown, with the poolers side by side."""
    by_fault: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        by_fault[row["fault"]][row["pooler"]] = row
    lines = [
        "| fault | responses to clients | log lines for each 503 | requests heal | jobs heal |",
        "|---|---|---|---|---|",
    ]
    for title, found in by_fault.items():
        seen = {status for row in found.values() for status in row["statuses"]}
        failed = ", ".join(sorted(seen - {"200", "201"})) or "all succeed"
        lines_each = max(row["log lines"] for row in found.values())
        healed = [
            " / ".join(f"{found[pooler][name]:g}" if pooler in found else "–" for pooler in NAMES)
            for name in ("requests healed after", "jobs healed after")
        ]
        lines.append(f"| {title} | {failed} | {lines_each:g} | {healed[0]} s | {healed[1]} s |")
    return "\n".join(lines)


def main() -> int:
    """Run and print. Return 1 if the claim fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--poolers", nargs="*", choices=POOLERS, default=list(POOLERS))
    parser.add_argument("--faults", nargs="*", choices=list(FAULTS), default=list(FAULTS))
    parser.add_argument("--json", type=Path, help="write the results to this file")
    options = parser.parse_args()
    if missing := missing_programs():
        print(f"Install {', '.join(missing)}.", file=sys.stderr)
        return 3
    rows = list(run(options.poolers, options.faults))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    print(format_table(rows))
    wrong = [f"{row['pooler']}, {row['fault']}: {row['wrong']}" for row in rows if is_wrong(row)]
    print("\n".join(wrong), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
