"""Metrics that are read from the database when Prometheus asks for them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Min, QuerySet
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from executions.models import Execution, Step
from executions.task_queries import unassigned
from executions.worker import heartbeat
from executions.worker.status import QUEUES, running_workers
from workflows.db import clock
from workflows.db.faults import first_line
from workflows.models import Workflow

logger = logging.getLogger(__name__)

FRESH_SECONDS = 10
"""Seconds for which a result is returned again."""
IDLE_FACTOR = 20
"""The pause after a read, as a multiple of its duration: reads use at most 5 % of the time of one
connection, however many executions there are."""


class DatabaseCollector:
    """Reads the metrics, and keeps the result for a short time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._metrics: list[Metric] = []
        self._expires = 0.0

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics. If the database cannot be read, only ``holdfast_database_up``."""
        with self._lock:
            if time.monotonic() >= self._expires:
                began = time.monotonic()
                self._metrics = list(_read())
                now = time.monotonic()
                self._expires = now + max(FRESH_SECONDS, (now - began) * IDLE_FACTOR)
                self._metrics.append(
                    _gauge("read_seconds", "Time that reading these metrics took.", now - began)
                )
        yield from self._metrics


def _read() -> Iterator[Metric]:
    try:
        metrics = [*_executions(), *_steps(), *_queues(), *_workers()]
    except (DatabaseError, InterfaceError) as error:
        logger.error("The metrics could not be read: %s", first_line(error))
        metrics = []
    yield _gauge("database_up", "1 if the metrics could be read.", int(bool(metrics)))
    yield from metrics


def _workers() -> Iterator[Metric]:
    yield _gauge("workers", "Workers that run.", len(running_workers()))
    age = heartbeat.seconds_since_last_beat()
    if age is not None:
        yield _gauge("worker_beat_seconds", "Time since a worker was seen.", age)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"holdfast_{name}", text, value=value)


def _executions() -> Iterator[Metric]:
    workflows = Workflow.objects.order_by().values_list("pk", "cuid", "title")
    named = {pk: (cuid, title) for pk, cuid, title in workflows}
    family = GaugeMetricFamily(
        "holdfast_executions", "Executions by workflow and status.", labels=["workflow", "status"]
    )
    groups = Execution.objects.order_by().values_list("workflow_id", "status")
    for pk, status, number in groups.annotate(number=Count("pk")):
        # A workflow may have been created since the first statement.
        if pk in named:
            family.add_metric([named[pk][0], status], number)
    yield family
    info = GaugeMetricFamily(
        "holdfast_workflow_info",
        "Titles of workflows. The value is 1.",
        labels=["workflow", "title"],
    )
    for cuid, title in named.values():
        info.add_metric([cuid, title], 1)
    yield info


def _steps() -> Iterator[Metric]:
    yield _gauge("incidents", "Open incidents.", Step.objects.incidents().count())
    yield _gauge("overdue_steps", "Open steps past their deadline.", Step.objects.overdue().count())
    yield _gauge("unassigned_steps", "Open steps that no active user can do.", unassigned().count())


def _queues() -> Iterator[Metric]:
    rows = GaugeMetricFamily("holdfast_due_rows", "Due work by queue.", labels=["queue"])
    oldest = GaugeMetricFamily(
        "holdfast_oldest_due_seconds",
        "Time since the oldest due work became due. 0 if none is due.",
        labels=["queue"],
    )
    for name, read in QUEUES.items():
        due: QuerySet[Any] = read().due()
        found = due.order_by().aggregate(number=Count("pk"), first=Min("due_at"))
        first = found["first"]
        late = (clock.now() - first).total_seconds() if first else 0.0
        rows.add_metric([name], found["number"])
        oldest.add_metric([name], max(0.0, late))
    yield rows
    yield oldest
