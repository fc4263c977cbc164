"""Load test that kills Celery workers: nothing may be lost or done twice.

    python -m benchmarks.kill_workers
    python -m benchmarks.kill_workers --executions 100 --seconds 8

Executions wait for seconds, call a server that counts, leave a form by its deadline, call a
workflow for each of three items, and call the server again. Each child calls the server too. Some
executions are started by a schedule while workers are killed, each once. After the first calls, a
worker process is killed with -9 every second, every fifth time the whole worker, which is then
restarted. In the middle, the broker is killed, loses its messages and is restarted after a pause.
Exits with 1 unless every execution completes, every node was visited exactly once, every item has
one child and its result, every schedule has started its executions once, every call has the key of
its step, and all invariants hold.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import secrets
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

from dateutil.relativedelta import relativedelta

from benchmarks import databases
from benchmarks.processes import Broker, CeleryProcess, until

INTERVALS = (1, 2, 4, 8, 16)
ITEMS = ["a", "b", "c"]
CALLEE, SCHEDULED = "Asks", "Starts by a schedule"
BEFORE, SPREAD = 30, 20
"""Seconds before the first occurrence, and until the last one."""
PAUSE = 0.3
AWAY = 3.0
WHOLE = 5
FIRST = 0.1


@dataclass
class Counting:
    """A slow server that counts calls by their ``Idempotency-Key``."""

    port: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def serving(self) -> Iterator[None]:
        counting = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with counting.lock:
                    counting.calls[self.headers["Idempotency-Key"]] += 1
                time.sleep(PAUSE)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *args: object) -> None:
                """Ignore errors: callers are killed."""

        with Server(("127.0.0.1", 0), Handler) as server:
            self.port = server.server_address[1]
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            yield
            server.shutdown()
            thread.join()


def _line(*nodes: dict[str, Any]) -> dict[str, Any]:
    """Return a graph with these nodes in a row; a node with a deadline is left by it."""
    row = [{"id": "start", "type": "start"}, *nodes, {"id": "end", "type": "end"}]
    edges = [{"source": a["id"], "target": b["id"]} for a, b in pairwise(row)]
    late = [
        {**edge, "sourceHandle": "timeout"}
        for edge, node in zip(edges, row, strict=False)
        if "deadline" in node.get("data", {})
    ]
    return {"nodes": row, "edges": edges + late}


def _call(url: str, body: str) -> dict[str, Any]:
    return {"method": "POST", "url": url, "body": body, "timeout": 5}


def _source(interval: int, url: str, callee: str) -> dict[str, Any]:
    items = {"items": ITEMS, "as": "item", "limit": 2, "collect": "results"}
    each = {"workflow": callee, "output": {"out": "out"}, "for_each": items}
    call = _call(url, "{{title}}")
    return _line(
        {"id": "sleep", "type": "wait", "data": {"interval": interval}},
        {"id": "call", "type": "http_request", "data": call},
        {"id": "late", "type": "user_action", "data": {"deadline": f"PT{interval}S"}},
        {"id": "each", "type": "run_workflow", "data": each},
        {"id": "again", "type": "http_request", "data": call},
        {"id": "done", "type": "set_field", "data": {"values": {"done": True}}},
    )


def build(url: str, scheduled: int) -> None:
    """Create one workflow per interval, the callee, and findings with a schedule."""
    from django.core.management import call_command
    from django.utils import timezone

    from executions.models import Finding
    from workflows.editing import save_graph
    from workflows.models import FindingType, Workflow

    call_command("migrate", verbosity=0)
    counted = FindingType.objects.create(name="Counted")
    callee = Workflow.objects.create(title=CALLEE, entity_name_type=counted, state="active")
    ask = {"id": "ask", "type": "http_request", "data": _call(url, "{{$item}}")}
    out = {"values": {"$out": {"variable": "item"}}}
    save_graph(callee, _line(ask, {"id": "out", "type": "set_field", "data": out}), based_on=1)
    for interval in INTERVALS:
        workflow = Workflow.objects.create(
            title=f"Sleeps {interval}", entity_name_type=counted, state="active"
        )
        save_graph(workflow, _source(interval, url, callee.cuid), based_on=1)
    yearly = FindingType.objects.create(name="Scheduled")
    # Due one after the other while workers are killed.
    year = timezone.now() - relativedelta(years=1)
    for index in range(scheduled):
        at = year + timedelta(seconds=BEFORE + index % SPREAD)
        fields = {"validated_on": at.isoformat()}
        Finding.objects.create(title=f"{index}", entity_name_type=yearly, fields=fields)
    workflow = Workflow.objects.create(
        title=SCHEDULED,
        entity_name_type=yearly,
        state="active",
        trigger="schedule",
        trigger_data={"every": "P1Y", "from_field": "validated_on"},
    )
    call = {"id": "call", "type": "http_request", "data": _call(url, "{{title}}")}
    done = {"id": "done", "type": "set_field", "data": {"values": {"done": True}}}
    save_graph(workflow, _line(call, done), based_on=1)


def start_all(number: int) -> int:
    """Start executions, each on its own finding. Return the number of failed starts."""
    databases.django(os.environ["DATABASE_URL"])
    from executions.models import Finding
    from executions.services import start
    from workflows.models import Workflow

    sleeping = Workflow.objects.filter(title__startswith="Sleeps")
    workflows = list(sleeping.select_related("entity_name_type").order_by("pk"))
    failed = 0
    for index in range(number):
        workflow = workflows[index % len(workflows)]
        finding = Finding.objects.create(
            title=f"{index}", entity_name_type=workflow.entity_name_type
        )
        try:
            start(workflow, finding)
        except Exception as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            failed += 1
    return failed


class Chaos:
    """Kills a process every second, and restarts it."""

    def __init__(self, workers: int, processes: int, directory: Path, broker: Broker) -> None:
        self.counts: Counter[str] = Counter()
        self.processes, self.directory, self.broker = processes, directory, broker
        self._away_until: float | None = None
        self.workers = [self._worker(number) for number in range(workers)]
        self.beat = CeleryProcess(
            directory / "beat.log", {}, "beat", "-s", str(directory / "schedule")
        )

    def _worker(self, number: int) -> CeleryProcess:
        name = f"w{number}@local"
        options = ["-n", name, "-c", str(self.processes), "-l", "INFO"]
        return CeleryProcess(self.directory / f"worker{number}.log", {}, "worker", *options)

    def run(self, seconds: float) -> None:
        """Kill worker processes, sometimes a whole worker, and once the broker."""
        for worker in self.workers:
            worker.wait_until_ready()
        for turn in range(int(seconds)):
            time.sleep(1)
            if self._away_until is not None and time.monotonic() > self._away_until:
                self._away_until = None
                self.broker.start()
            elif turn == int(seconds) // 2:
                self.broker.kill()
                self.counts["brokers killed"] += 1
                self._away_until = time.monotonic() + AWAY
            number = turn // WHOLE % len(self.workers)
            if turn % WHOLE:
                # Not of the worker that was killed last and is still starting.
                self.counts["processes killed"] += self.workers[number - 1].kill_one()
                continue
            self.workers[number].kill()
            self.counts["workers killed"] += 1
            self.workers[number] = self._worker(number)
        if self._away_until is not None:
            self.broker.start()

    def end(self) -> None:
        self.beat.end()
        for worker in self.workers:
            worker.end()


def completed() -> int:
    from executions.models import Execution, Status

    return Execution.objects.filter(status=Status.COMPLETED).count()


def closed() -> int:
    from executions.models import Step

    return Step.objects.filter(state="done").count()


def find_failures(number: int, scheduled: int, calls: Counter[str]) -> dict[str, int]:
    """Return the numbers of failures by name. All are 0 if nothing was lost or done twice."""
    from executions import integrity
    from executions.models import Execution, Finding, Job, Step, TriggeredStart

    total = expected(number, scheduled)
    keys = set(Step.objects.filter(type="http_request").values_list("cuid", flat=True))
    roots = Execution.objects.filter(parent=None)
    sleeping = list(roots.filter(workflow__title__startswith="Sleeps"))
    by_schedule = roots.filter(workflow__title=SCHEDULED)
    written = Finding.objects.filter(fields__done=True).count()
    return {
        "executions not completed": total - completed(),
        "executions missing": max(total - Execution.objects.count(), 0),
        "executions too many": max(Execution.objects.count() - total, 0),
        "nodes visited twice or never": count_wrong_visits(),
        "deadlines not passed": number - Step.objects.filter(handle="timeout").count(),
        "items without their child": sum(not _has_items(root) for root in sleeping),
        "results missing or wrong": sum(
            root.variables.get("results") != [{"out": item} for item in ITEMS] for root in sleeping
        ),
        "occurrences started twice": by_schedule.count()
        - by_schedule.values("entity").distinct().count(),
        "occurrences missing": scheduled - by_schedule.values("entity").distinct().count(),
        "findings not written": number + scheduled - written,
        "remaining jobs": Job.objects.count() + TriggeredStart.objects.count(),
        "steps without their call": len(keys - set(calls)),
        "calls with an unknown key": len(set(calls) - keys),
        "violations": len(integrity.find_violations()),
    }


def expected(number: int, scheduled: int) -> int:
    """Return the number of executions: roots with their children, and scheduled ones."""
    return number * (1 + len(ITEMS)) + scheduled


def count_wrong_visits() -> int:
    """Count the nodes that an execution has not visited exactly once; a call, once per item too."""
    from executions.models import Execution, count_visits

    wrong = 0
    for execution in Execution.objects.select_related("version").defer("passed"):
        visits: Counter[str] = Counter()
        for key, times in count_visits(execution).items():
            visits[key.node_id] += times if key.state == "done" else 1_000
        for node in execution.version.source["nodes"]:
            times = 1 + len(ITEMS) if node["id"] == "each" else 1
            wrong += visits[node["id"]] != times
    return wrong


def _has_items(root: Any) -> bool:
    children = root.children.order_by("item").values_list("item", "variables__item")
    return list(children) == list(enumerate(ITEMS))


def main() -> int:
    """Run and print. Return 1 if something was lost or done twice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--executions", type=int, default=2000)
    parser.add_argument("--scheduled", type=int, default=100, help="findings with a schedule (100)")
    parser.add_argument("--seconds", type=float, default=30, help="duration of killing (30)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--processes", type=int, default=6, help="processes per worker (6)")
    parser.add_argument("--lease", type=int, default=6, help="JOB_LEASE_SECONDS (6)")
    parser.add_argument(
        "--patience", type=float, default=600, help="seconds to wait for the rest (600)"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not Broker.is_installed():
        parser.error("redis-server is not installed")
    counting = Counting()
    with tempfile.TemporaryDirectory(prefix="kill-", ignore_cleanup_errors=True) as directory:
        broker = Broker(Path(directory))
        os.environ.update(
            DEBUG="0",
            SECRET_KEY=secrets.token_hex(),
            CELERY_BROKER_URL=broker.url,
            HTTP_REQUEST_ALLOW_HTTP="1",
            HTTP_REQUEST_ALLOW_LOOPBACK="1",
            JOB_LEASE_SECONDS=str(options.lease),
            SWEEP_SECONDS="1",
        )
        with counting.serving(), databases.served("postgresql", "max_connections = 200") as server:
            os.environ["HTTP_REQUEST_HOSTS"] = f"127.0.0.1:{counting.port}"
            databases.django(server.url("postgres"))
            try:
                result = _run(options, broker, Path(directory), counting)
            finally:
                broker.kill()
                from django.db import connection

                connection.close()
    failures = result.pop("failures")
    if options.json:
        print(json.dumps({**result, **failures}, indent=2))
    else:
        print("\n".join(f"{name:40} {value}" for name, value in {**result, **failures}.items()))
    return 1 if any(failures.values()) else 0


def _run(
    options: argparse.Namespace, broker: Broker, directory: Path, counting: Counting
) -> dict[str, Any]:
    build(f"http://127.0.0.1:{counting.port}/", options.scheduled)
    broker.start()
    start = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        starts = pool.apply_async(start_all, [options.executions])
        chaos = Chaos(options.workers, options.processes, directory, broker)
        try:
            first = options.executions * FIRST
            until(lambda: sum(counting.calls.values()) >= first, "calls", options.patience)
            before = closed(), sum(counting.calls.values())
            chaos.run(options.seconds)
            meanwhile = {
                "steps closed meanwhile": closed() - before[0],
                "calls made meanwhile": sum(counting.calls.values()) - before[1],
            }
            failed = starts.get(options.patience)
            try:
                total = expected(options.executions, options.scheduled)
                until(lambda: completed() >= total, "the rest", options.patience)
            except TimeoutError as error:
                print(error, file=sys.stderr)
            seconds = time.monotonic() - start
        finally:
            chaos.end()
    calls = counting.calls
    return {
        "executions": expected(options.executions, options.scheduled),
        **chaos.counts,
        **meanwhile,
        "total seconds": round(seconds),
        "calls": sum(calls.values()),
        "calls repeated with the same key": sum(calls.values()) - len(calls),
        "failures": {
            "failed starts": failed,
            **find_failures(options.executions, options.scheduled, calls),
        },
    }


if __name__ == "__main__":
    sys.exit(main())
