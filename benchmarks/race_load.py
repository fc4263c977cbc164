"""The load of ``race``: workflows that call each other, and clients that do all kinds of work."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any
from unittest import mock

from django.db.models import Q

FAMILIES = 5
FORMS = ("form", "review")
"""The id of the form in a graph: with another one, open forms have to be mapped by a move."""
CHECK_SECONDS = 3
UNPURGED_SECONDS = 15
MAX_NUMBER = 10**9


def _source(callee: str | None, note: int) -> dict[str, Any]:
    nodes: list[dict[str, Any]] = [
        {"id": "start", "type": "start", "data": {"notes": str(note)}},
        {
            "id": FORMS[note % len(FORMS)],
            "type": "user_action",
            "data": {"fields": [{"name": "n", "type": "number"}]},
        },
    ]
    nodes.append({"id": "nap", "type": "wait", "data": {"interval": 1}})
    if callee is not None:
        nodes.append({"id": "call", "type": "run_workflow", "data": {"workflow": callee}})
    nodes.append({"id": "end", "type": "end"})
    ids = [node["id"] for node in nodes]
    edges = [{"source": a, "target": b} for a, b in pairwise(ids)]
    return {"nodes": nodes, "edges": edges}


def build_workflows() -> None:
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
    """A process that runs random operations, and counts their results.

    ``submitted`` are the steps whose submit was accepted, with the number that was submitted.
    """

    def __init__(self, seed: int, naive: bool) -> None:
        from workflows.models import FindingType

        self.random = random.Random(seed)
        self.naive = naive
        self.counts: Counter[str] = Counter()
        self.submitted: list[tuple[str, int]] = []
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
        if workflow.executions.live().count() < 3:
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

        steps = Step.objects.open().filter(type="user_action").select_related("execution")
        found = list(steps.order_by(self._any("execution__updated_at"))[:1])
        if found:
            number = self.random.randrange(MAX_NUMBER)
            submit(found[0].execution, step=found[0].cuid, data={"n": number})
            self.submitted.append((found[0].cuid, number))

    def _any(self, column: str) -> str:
        """Return an order: random, or the latest first, so that clients meet at one tree."""
        return self.random.choice(["?", f"-{column}"])

    def check_submits(self) -> None:
        """Count the accepted submits that the history has and lacks. Purged steps are older."""
        from executions.models import Step

        rows = Step.objects.filter(cuid__in=[cuid for cuid, _ in self.submitted])
        steps = {cuid: found for cuid, *found in rows.values_list("cuid", "state", "output")}
        for cuid, number in self.submitted:
            is_found = steps.get(cuid) == ["done", {"n": number}]
            self.counts["submits found" if is_found else "submits lost"] += 1
        self.submitted = []

    def serve_timers(self) -> None:
        from executions.worker import queue

        queue.serve_due()

    def cancel(self) -> None:
        from executions.models import Execution
        from executions.services import cancel

        live = Execution.objects.live().filter(parent=None)
        found = list(live.order_by(self._any("updated_at"))[:1])
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
        from executions.services import move, plan_move

        live = Execution.objects.live().filter(parent=None).select_related("workflow")
        found = list(live.order_by(self._any("updated_at"))[:1])
        if not found:
            return
        root = found[0]
        # Mostly to the latest version, sometimes back to an older one.
        numbers = root.workflow.versions.values_list("number", flat=True)
        to = self.random.choice(list(numbers)) if self.random.random() < 0.3 else None
        options: dict[str, Any] = {"to": to, "mapping": self._mapping(root, to)}
        if self.random.random() < 0.3:
            options["token"] = plan_move(root, **options).token
        move(root, **options, why="race")

    def _mapping(self, root: Any, to: int | None) -> dict[str, str]:
        """Map the open forms of a tree to the forms of the versions that it would get."""
        from executions.models import Step

        steps = Step.objects.open().filter(type="user_action").select_related("execution__workflow")
        tree = Q(execution=root) | Q(execution__root=root)
        found = {}
        for step in steps.filter(tree):
            workflow = step.execution.workflow
            is_root = workflow == root.workflow
            versions = workflow.versions.order_by("-number")
            if is_root and to is not None:
                versions = versions.filter(number=to)
            for version in versions[:1]:
                [form] = (row["id"] for row in version.source["nodes"] if row["id"] in FORMS)
                key = step.node_id if is_root else f"{workflow.cuid}/{step.node_id}"
                found[key] = form
        return found

    def purge(self) -> None:
        from django.utils import timezone

        from executions.services.purging import Purged, purge

        # The latest ones stay for the check of submits.
        before = timezone.now() - timedelta(seconds=UNPURGED_SECONDS)
        done = Purged()
        list(purge(before, done=done, rest=0, versions=True))
        self.counts["trees purged"] += done.trees

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
            (self.save_graph, 16),
            (self.move, 20),
            (self.serve_timers, 12),
            (self.purge, 2),
            (self.retire, 2),
        ]
        operations = [operation for operation, _ in mix]
        weights = [weight for _, weight in mix]
        checked = time.monotonic()
        while time.monotonic() < until:
            if time.monotonic() - checked > CHECK_SECONDS:
                self.check_submits()
                checked = time.monotonic()
            [operation] = self.random.choices(operations, weights)
            name = operation.__name__
            try:
                operation()
                self.counts[f"{name}: done"] += 1
            except Refusal as refusal:
                obstacles = getattr(refusal, "obstacles", ())
                code = obstacles[0].code if obstacles else refusal.code
                self.counts[f"{name}: refused ({code})"] += 1
            except locks.Contention:
                self.counts["contention (409)"] += 1
            except DatabaseError as error:
                deadlock = "deadlock" in str(error)
                self.counts["deadlocks at a client" if deadlock else "other database errors"] += 1
            except Exception as error:
                self.counts[f"unexpected: {type(error).__name__}: {error}"[:120]] += 1
        # Others go on for a moment.
        time.sleep(CHECK_SECONDS)
        self.check_submits()
        return dict(self.counts)
