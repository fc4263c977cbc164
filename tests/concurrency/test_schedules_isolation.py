"""Clients with an older snapshot: later commits still bind them.

Inside a transaction of the client, a service cannot be retried, so it reports contention. In a
transaction of its own, it is retried at every isolation level.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from executions import services as running
from executions.guards import EntityInUse, EntityTypeMismatch
from executions.models import Execution, Finding
from tests.concurrency.actions import change
from tests.concurrency.invariants import assert_invariants, assert_nothing_is_stranded
from tests.concurrency.schedule import (
    AFTER_WRITE,
    CALLS_READ,
    CHANGED,
    CHECKED,
    CHECKED_EDIT,
    EVERY_LEVEL,
    HERE,
    LEVELS,
    MARKS,
    Outcome,
    Schedule,
    Stop,
    after,
    at_isolation,
    here,
    save,
)
from tests.conftest import Scenario
from tests.factories import WorkflowFactory, call, form, save_line
from workflows import editing
from workflows.db.locks import Contention, retrying
from workflows.graph import WorkflowValidationError
from workflows.guards import (
    ActiveExecutions,
    DependentActiveExecutions,
    HasCallers,
    HasExecutions,
)
from workflows.models import Version, Workflow

pytestmark = MARKS

Work = Callable[[], Any]


class Old:
    """Two workflows without calls, and clients with a stricter isolation level."""

    def __init__(self, schedule: Schedule, scenario: Scenario) -> None:
        self.schedule = schedule
        self.scenario = scenario
        self.one, self.other = (
            WorkflowFactory(title=title, entity_name_type=scenario.limitation)
            for title in ("One", "Other")
        )
        save_line(self.one, form())
        save_line(self.other, form())

    def start(self) -> Execution:
        return running.start(self.one, self.scenario.finding)

    def change(self) -> Any:
        return change(self.scenario, self.one)

    def client(self, level: str, work: Work, since: Work) -> Outcome:
        """Run ``work`` in a client's transaction whose snapshot is older than ``since``."""
        return self.schedule.interleave(looking(level, work), HERE, since, waits=False)[0]

    def either(
        self, mode: str, work: Work, at: Stop, since: Work, level: str = "REPEATABLE READ"
    ) -> Outcome:
        """Run ``work`` in a transaction of the client, or of the service."""
        if mode == "client":
            return self.client(level, work, since)
        return self.schedule.interleave(at_isolation(level, work), at, since, waits=False)[0]


def looking(level: str, work: Work) -> Work:
    """Return ``work`` in a transaction of this level that pauses after its snapshot."""

    def within() -> Any:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
            assert Workflow.objects.exists()
            here()
            return work()

    return within


@pytest.fixture
def old(schedule: Schedule, scenario: Scenario) -> Old:
    return Old(schedule, scenario)


MODES = pytest.mark.parametrize("mode", ["client", "default"])


@LEVELS
def test_keys_refuse_type_change_when_its_snapshot_misses_a_start(old: Old, level: str) -> None:
    changed = old.client(level, old.change, old.start)
    assert changed.by_database
    assert changed.refused is ActiveExecutions
    assert_nothing_is_stranded()


@EVERY_LEVEL
def test_type_change_checked_before_a_start_is_refused(old: Old, level: str) -> None:
    changed = old.either("default", old.change, CHECKED, old.start, level)
    assert changed.refused is ActiveExecutions
    assert_nothing_is_stranded()


@EVERY_LEVEL
def test_type_change_waits_for_start_and_is_refused(old: Old, level: str) -> None:
    started, changed = old.schedule.interleave(
        at_isolation(level, old.start), AFTER_WRITE, at_isolation(level, old.change), waits=True
    )
    assert (started.refused, changed.refused) == (None, ActiveExecutions)
    assert old.schedule.deadlocks == 0
    assert_nothing_is_stranded()


@EVERY_LEVEL
def test_start_waits_for_type_change_and_is_refused(old: Old, level: str) -> None:
    changed, started = old.schedule.interleave(
        at_isolation(level, old.change), CHANGED, at_isolation(level, old.start), waits=True
    )
    assert (changed.refused, started.refused) == (None, EntityTypeMismatch)
    assert old.schedule.deadlocks == 0
    assert_nothing_is_stranded()


def test_type_change_of_callee_is_refused_when_its_snapshot_misses_call_and_start(old: Old) -> None:
    def call_and_start() -> None:
        save(old.other, form(), call(old.one))
        running.start(old.other, old.scenario.finding)

    changed = old.client("REPEATABLE READ", old.change, call_and_start)
    assert changed.refused in (DependentActiveExecutions, Contention)
    assert_nothing_is_stranded()


@LEVELS
@MODES
def test_start_is_retried_when_its_snapshot_misses_a_type_change(
    old: Old, mode: str, level: str
) -> None:
    started = old.either(mode, old.start, CALLS_READ, old.change, level)
    assert started.refused is (Contention if mode == "client" else EntityTypeMismatch)
    assert_nothing_is_stranded()


def test_retried_transaction_starts_with_the_original_request(
    old: Old,
) -> None:
    within = retrying(looking("REPEATABLE READ", old.start))
    started, changed = old.schedule.interleave(within, HERE, old.change, waits=False)
    assert (started.refused, changed.refused) == (EntityTypeMismatch, None)
    assert_nothing_is_stranded()


@MODES
def test_start_is_retried_when_its_snapshot_misses_a_saved_graph(old: Old, mode: str) -> None:
    started = old.either(mode, old.start, CALLS_READ, lambda: save(old.one, form("new")))
    if mode == "client":
        assert started.refused is Contention
    else:
        assert started.value.steps.open().get().node_id == "new"
    assert_nothing_is_stranded()


@MODES
def test_save_is_retried_when_its_snapshot_misses_half_of_a_cycle(old: Old, mode: str) -> None:
    saved = old.either(
        mode,
        lambda: save(old.one, call(old.other)),
        CALLS_READ,
        lambda: save(old.other, call(old.one)),
    )
    assert saved.refused is (Contention if mode == "client" else WorkflowValidationError)
    assert_nothing_is_stranded()


def test_save_keeps_the_version_when_its_snapshot_misses_a_start(old: Old) -> None:
    saved = old.client("REPEATABLE READ", lambda: save(old.one, form("new")), old.start)
    assert saved.refused is None
    assert list(Version.objects.filter(workflow=old.one).values_list("number", flat=True)) == [2, 1]
    assert_nothing_is_stranded()


@MODES
def test_retirement_is_refused_when_its_snapshot_misses_a_saved_call(old: Old, mode: str) -> None:
    retired = old.either(
        mode,
        lambda: editing.retire(old.one),
        CHECKED_EDIT,
        lambda: save(old.other, form(), call(old.one)),
    )
    assert retired.refused is (Contention if mode == "client" else HasCallers)
    assert_nothing_is_stranded()


@MODES
def test_retirement_is_refused_when_its_snapshot_misses_a_reactivated_caller(
    old: Old, mode: str
) -> None:
    save_line(old.other, form(), call(old.one))
    editing.retire(old.other)
    retired = old.either(
        mode,
        lambda: editing.retire(old.one),
        CHECKED_EDIT,
        lambda: editing.set_state(old.other, Workflow.State.ACTIVE),
    )
    assert retired.refused is (Contention if mode == "client" else HasCallers)
    assert_nothing_is_stranded()


def test_keys_refuse_deletion_when_its_snapshot_misses_a_start(old: Old) -> None:
    deleted = old.client("REPEATABLE READ", Workflow.objects.get(pk=old.one.pk).delete, old.start)
    assert deleted.refused is HasExecutions
    assert_nothing_is_stranded()


def test_deletion_is_refused_when_its_snapshot_misses_a_whole_execution(
    old: Old,
) -> None:
    save_line(old.one)
    deleted = old.client("REPEATABLE READ", Workflow.objects.get(pk=old.one.pk).delete, old.start)
    assert deleted.refused is HasExecutions
    assert Execution.objects.get().version.workflow == old.one
    assert_invariants()


def test_deletion_is_refused_when_its_snapshot_misses_a_saved_call(old: Old) -> None:
    deleted = old.client(
        "REPEATABLE READ",
        Workflow.objects.get(pk=old.one.pk).delete,
        lambda: save(old.other, form(), call(old.one)),
    )
    assert deleted.refused is Contention
    assert_nothing_is_stranded()


def test_key_refuses_entity_deletion_when_its_snapshot_misses_a_start(old: Old) -> None:
    finding = Finding.objects.get(pk=old.scenario.finding.pk)
    deleted = old.client("REPEATABLE READ", finding.delete, old.start)
    assert deleted.refused is EntityInUse
    assert_nothing_is_stranded()


def test_key_refuses_entity_type_change_when_its_snapshot_misses_a_start(
    old: Old,
) -> None:
    def retyped() -> None:
        row = Finding.objects.get(pk=old.scenario.finding.pk)
        row.entity_name_type = old.scenario.exception
        row.save()

    changed = old.client("REPEATABLE READ", retyped, old.start)
    assert changed.refused is EntityInUse
    assert changed.by_database
    assert_nothing_is_stranded()


def test_entity_save_is_retried_when_its_snapshot_misses_a_submit(old: Old) -> None:
    execution = old.start()
    row = Finding.objects.get(pk=old.scenario.finding.pk)
    row.title = "new"
    saved = old.either(
        "default",
        row.save,
        after("executions.guards.changes_context"),
        lambda: running.submit(execution, node="form", data={"note": "n"}),
    )
    assert saved.refused is None
    row.refresh_from_db()
    assert (row.title, row.fields) == ("new", {"note": "n"})
    assert_invariants()


@pytest.mark.parametrize("nodes", [["form"], ["form", "next"]], ids=["last form", "more forms"])
def test_submit_is_refused_when_its_snapshot_misses_another_submit(
    old: Old, nodes: list[str]
) -> None:
    save_line(old.one, *(form(node) for node in nodes))
    execution = old.start()

    def submit(note: str) -> Any:
        return running.submit(execution, node="form", data={"note": note})

    submitted = old.client("REPEATABLE READ", lambda: submit("old"), lambda: submit("new"))
    assert submitted.refused is Contention
    assert execution.steps.get(node_id="form").input == {"note": "new"}
    assert_nothing_is_stranded()
