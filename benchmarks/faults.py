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
import signal
import ssl
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import databases
from benchmarks.installation import CONNECTIONS, Database, Installation, missing_programs
from benchmarks.kill_workers import Counting
from benchmarks.processes import until

POOLERS = ("", "session", "transaction")
NAMES = ("none", "session", "transaction")
BROKEN = 4.0
CALM = 2.0
HEALED_WITHIN = 60.0
MEGABYTES = 400


@dataclass
class Answers:
    """The responses since the last fault, and the executions that were started."""

    statuses: Counter[str] = field(default_factory=Counter)
    without_retry: Counter[str] = field(default_factory=Counter)
    succeeded: list[tuple[float, float]] = field(default_factory=list)
    started: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    problems: list[str] = field(default_factory=list)


class Client(threading.Thread):
    """Starts and submits executions until it must end, and finishes the last one."""

    def __init__(self, port: int, token: str, body: dict[str, str], answers: Answers) -> None:
        super().__init__(daemon=True)
        self.port, self.body, self.answers = port, body, answers
        self.ending = threading.Event()
        self.headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
        self.context = ssl.create_default_context()
        # The certificate of the proxy is made for this run.
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.connection: http.client.HTTPSConnection | None = None

    def run(self) -> None:
        while not self.ending.is_set():
            key = str(uuid.uuid4())
            cuid = str(self._send("executions/", self.body, key).get("cuid", ""))
            self.answers.started[key].add(cuid)
            path = f"executions/{cuid}/submit/"
            self._send(path, {"node": "form", "data": {"n": "1"}}, f"{key}-submit")
            time.sleep(0.8)

    def _send(self, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        """Send a request until it succeeds. Return the body of the response."""
        while True:
            began = time.monotonic()
            status, retry, text = self._try(path, body, key)
            self.answers.statuses[status] += 1
            if status in ("200", "201"):
                self.answers.succeeded.append((began, time.monotonic()))
                answer: dict[str, Any] = json.loads(text)
                return answer
            if status[0] in "45" and not retry:
                self.answers.without_retry[status] += 1
                self.answers.problems.append(text[:200])
            if status[0] == "4" and not retry:
                # Repeating it changes nothing.
                self.ending.set()
                return {}
            time.sleep(0.25)

    def _try(self, path: str, body: dict[str, Any], key: str) -> tuple[str, str, str]:
        try:
            if self.connection is None:
                self.connection = http.client.HTTPSConnection(
                    "127.0.0.1", self.port, timeout=70, context=self.context
                )
            headers = {**self.headers, "Idempotency-Key": key}
            self.connection.request("POST", f"/api/v1/{path}", json.dumps(body), headers)
            response = self.connection.getresponse()
            text = response.read().decode(errors="replace")
            code = "" if response.status < 400 else json.loads(text)["code"]
            status = f"{response.status} {code}".strip()
            return status, response.headers.get("Retry-After", ""), text
        except (OSError, http.client.HTTPException):
            self.connection = None
            return "no response", "", ""
        except (ValueError, KeyError):
            return f"{response.status} (no problem)", "", text


Step = Callable[[Installation], Any]


@dataclass(frozen=True)
class Fault:
    """A fault: how it begins and ends, and what it needs."""

    title: str
    begin: Step
    end: Step
    seconds: float = BROKEN
    needs: str = ""


def _nothing(installation: Installation) -> None:
    """Break nothing."""


_blocking: list[Any] = []


def _use_all_connections(installation: Installation) -> None:
    """Take every connection as fast as others are ended."""
    import psycopg2

    end = time.monotonic() + 3
    while time.monotonic() < end:
        _terminate_others(installation.database)
        with suppress(psycopg2.Error):
            while len(_blocking) < CONNECTIONS:
                connection = installation.database.connect()
                _blocking.append(connection)
        if len(_blocking) >= CONNECTIONS - 3:
            return


def _terminate_others(database: Database) -> None:
    pids = [connection.get_backend_pid() for connection in _blocking]
    own = ",".join(map(str, pids)) or "0"
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        f" WHERE usename = 'holdfast' AND pid NOT IN ({own})"
    )


def _release_connections(installation: Installation) -> None:
    while _blocking:
        _blocking.pop().close()


def _set_read_only(value: str) -> Step:
    def change(installation: Installation) -> None:
        installation.database.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        installation.database.execute("SELECT pg_reload_conf()")

    return change


def _lock_table(installation: Installation) -> None:
    connection = installation.database.connect()
    _blocking.append(connection)
    with connection.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE executions_execution IN ACCESS EXCLUSIVE MODE")


def _fill_disk(installation: Installation) -> None:
    with (installation.database.data / "filler").open("wb") as filler, suppress(OSError):
        while True:
            filler.write(b"\0" * 65536)
            filler.flush()


def _empty_disk(installation: Installation) -> None:
    (installation.database.data / "filler").unlink()
    installation.database.start()


def _kill_server_process(installation: Installation) -> None:
    """Kill one process of gunicorn, which replaces it."""
    master = installation.web._process
    assert master is not None
    children = Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)


FAULTS: dict[str, Fault] = {
    "nothing": Fault("Nothing", _nothing, _nothing),
    "restart": Fault(
        "PostgreSQL restarted",
        lambda it: it.database.control("restart", "-m", "fast"),
        _nothing,
        seconds=0,
    ),
    "down": Fault(
        "PostgreSQL killed",
        lambda it: it.database.control("stop", "-m", "immediate"),
        lambda it: it.database.start(),
    ),
    "read-only": Fault("PostgreSQL read-only", _set_read_only("on"), _set_read_only("off")),
    "connections": Fault(
        "PostgreSQL out of connections", _use_all_connections, _release_connections
    ),
    "lock": Fault(
        "A table locked by another session", _lock_table, _release_connections, seconds=8
    ),
    "disk": Fault("Disk of PostgreSQL full", _fill_disk, _empty_disk, needs="disk"),
    "pooler": Fault(
        "pgbouncer restarted",
        lambda it: it.pooler.stop(),
        lambda it: it.pooler.start(),
        seconds=2,
        needs="pooler",
    ),
    "redis": Fault("Redis down", lambda it: it.redis.kill(), lambda it: it.redis.start()),
    "worker": Fault(
        "All workers killed",
        lambda it: [each.stop(signal.SIGKILL) for each in (it.worker, it.calls, it.timers)],
        lambda it: [each.start() for each in (it.worker, it.calls, it.timers)],
    ),
    "process": Fault(
        "A process of the web server killed", _kill_server_process, _nothing, seconds=1
    ),
    "web": Fault("Web server restarted", lambda it: it.web.stop(), lambda it: it.web.start()),
}


def prepare(counting: Counting) -> tuple[str, dict[str, str]]:
    """Create a token, the workflows and a finding. Return the token and the body of a start."""
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from knox.models import AuthToken

    from executions.models import Finding
    from workflows.editing import save_graph
    from workflows.models import FindingType, Workflow

    call_command("migrate", verbosity=0)
    kind = FindingType.objects.create(name="Load")
    made = {"entity_name_type": kind, "state": "active"}
    callee = Workflow.objects.create(title="Callee", **made)
    mark = {"id": "mark", "type": "set_field", "data": {"values": {"marked": 1}}}
    save_graph(callee, _line(mark), based_on=1)
    caller = Workflow.objects.create(title="Caller", **made)
    url = f"http://127.0.0.1:{counting.port}/"
    nodes = (
        {"id": "form", "type": "user_action", "data": {"fields": [{"name": "n"}]}},
        {"id": "nap", "type": "wait", "data": {"interval": "PT1S"}},
        {"id": "tell", "type": "http_request", "data": {"method": "POST", "url": url}},
        {"id": "call", "type": "run_workflow", "data": {"workflow": callee.cuid}},
    )
    save_graph(caller, _line(*nodes), based_on=1)
    finding = Finding.objects.create(title="Load", entity_name_type=kind)
    user = get_user_model().objects.create_superuser("load")
    body = {"workflow": caller.cuid, "entity": finding.cuid}
    return AuthToken.objects.create(user=user)[1], body


def _line(*nodes: dict[str, Any]) -> dict[str, Any]:
    whole = [{"id": "start", "type": "start"}, *nodes, {"id": "end", "type": "end"}]
    ids = [node["id"] for node in whole]
    edges = [{"source": source, "target": target} for source, target in pairwise(ids)]
    return {"nodes": whole, "edges": edges}


def late_jobs(database: Database) -> int:
    """Return the number of jobs that are late by more than two seconds."""
    connection = database.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM executions_job"
                " WHERE due_at < statement_timestamp() - interval '2 seconds'"
            )
            return int(cursor.fetchone()[0])
    finally:
        connection.close()


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

    from executions import integrity
    from executions.models import Execution

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
            until(lambda: late_jobs(self.database) == 0, "late jobs", HEALED_WITHIN)
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
                for name in names:
                    fault = FAULTS[name]
                    if (fault.needs == "pooler" and not pooler) or (
                        fault.needs == "disk" and not rehearsal.database.disk
                    ):
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
