"""Starts without locks: they compare what they read when they write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from executions import services as running
from executions.models import Execution
from executions.services import advancing
from tests.concurrency.cached_closure import EDITS, CachedStart, assert_result_after, cached_fixture  # noqa: F401  the fixture that the tests ask for
from tests.concurrency.invariants import assert_nothing_is_stranded
from tests.concurrency.schedule import (
    BEFORE_WRITE,
    EVERY_LEVEL,
    HERE,
    LEVELS,
    MARKS,
    Outcome,
    at_isolation,
    here,
    unlocked_fixture,  # noqa: F401  the fixture that the tests ask for
)
from workflows import guards
from workflows.db import locks
from workflows.models import PendingChange

pytestmark = MARKS

Work = Callable[[], Any]


EVERY_EDIT = pytest.mark.parametrize("name", EDITS)


@EVERY_EDIT
def test_start_uses_an_edit_committed_after_its_read(cached: CachedStart, name: str) -> None:
    edit = EDITS[name]
    started, _ = cached.schedule.interleave(
        cached.start, BEFORE_WRITE, lambda: edit.make(cached), waits=False
    )
    assert_result_after(edit, cached, started)


@LEVELS
@pytest.mark.parametrize("name", ["type", "graph replaced", "retired", "entity's field"])
def test_start_uses_an_edit_committed_after_its_read_at_every_isolation_level(
    cached: CachedStart, name: str, level: str
) -> None:
    edit = EDITS[name]
    started, _ = cached.schedule.interleave(
        at_isolation(level, cached.start), BEFORE_WRITE, lambda: edit.make(cached), waits=False
    )
    assert_result_after(edit, cached, started)


@EVERY_LEVEL
@pytest.mark.parametrize(
    "name",
    [
        "type",
        "graph replaced",
        "retired",
        "callee is a draft",
        "deleted",
        "entity's type",
        "entity's field",
        "entity deleted",
    ],
)
def test_start_waits_for_uncommitted_edit_and_uses_it(
    cached: CachedStart, name: str, level: str
) -> None:
    edit = EDITS[name]

    def uncommitted() -> None:
        with transaction.atomic():
            edit.make(cached)
            here()

    _, started = cached.schedule.interleave(
        uncommitted, HERE, at_isolation(level, cached.start), waits=True
    )
    assert_result_after(edit, cached, started)


def beside_an_appended_graph(cached: CachedStart, level: str) -> Outcome:
    def uncommitted() -> None:
        with transaction.atomic():
            cached.append()
            here()

    return cached.schedule.interleave(
        uncommitted, HERE, at_isolation(level, cached.start), waits=True
    )[1]


@EVERY_LEVEL
def test_start_runs_the_version_that_it_read_when_another_is_appended(
    cached: CachedStart, level: str
) -> None:
    cached.start_other()
    version = cached.caller.latest_version
    assert beside_an_appended_graph(cached, level).value.version == version
    assert_nothing_is_stranded()


@EVERY_LEVEL
def test_start_runs_new_version_when_the_read_one_is_released(
    cached: CachedStart, level: str
) -> None:
    running.cancel(cached.start_other())
    started = beside_an_appended_graph(cached, level)
    assert started.value.version == cached.caller.latest_version
    assert_nothing_is_stranded()


# Pending changes


@EVERY_LEVEL
@pytest.mark.parametrize("hold", [CachedStart.hold, CachedStart.hold_the_callee])
def test_start_is_refused_when_a_change_is_put_on_hold_after_its_read(
    cached: CachedStart, hold: Callable[[CachedStart], None], level: str
) -> None:
    cached.start_other()
    started, pending = cached.schedule.interleave(
        at_isolation(level, cached.start), BEFORE_WRITE, lambda: hold(cached), waits=False
    )
    assert pending.refused is None
    if hold is CachedStart.hold:
        assert started.refused is guards.Draining
    else:
        assert started.value.version == cached.caller.latest_version
    assert_nothing_is_stranded()


def entity_taken(cached: CachedStart) -> None:
    """Lock the entity in another transaction without writing to it."""
    with transaction.atomic():
        advancing.lock_entity(cached.finding.pk)
        here()


def edited_while_a_start_waits(cached: CachedStart, edit: Work, level: str) -> Outcome:
    other = cached.schedule.begin(lambda: entity_taken(cached), HERE)
    start = cached.schedule.begin(at_isolation(level, cached.start))
    start.assert_waits_for(other)
    assert cached.schedule.begin(edit).end().refused is None
    other.go().end()
    return start.end()


@pytest.mark.parametrize(
    "name", ["type", "graph replaced", "retired", "callee is a draft", "retired and returned"]
)
def test_start_uses_an_edit_committed_while_it_waits_for_the_entity(
    cached: CachedStart, name: str
) -> None:
    edit = EDITS[name]
    started = edited_while_a_start_waits(cached, lambda: edit.make(cached), "READ COMMITTED")
    assert_result_after(edit, cached, started)


@EVERY_LEVEL
def test_start_is_refused_when_a_change_is_put_on_hold_while_it_waits_for_the_entity(
    cached: CachedStart, level: str
) -> None:
    cached.start_other()
    started = edited_while_a_start_waits(cached, cached.hold, level)
    assert started.refused is guards.Draining
    assert_nothing_is_stranded()


def test_start_begins_while_draining_without_the_workflow_revision(
    cached: CachedStart, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached.start_other()
    monkeypatch.setattr(locks, "outdate", lambda *_: None)
    started = edited_while_a_start_waits(cached, cached.hold, "READ COMMITTED")
    assert started.refused is None


def test_hold_waits_for_a_start_that_is_being_written(cached: CachedStart) -> None:
    first = cached.start_other()

    def uncommitted() -> Execution:
        with transaction.atomic():
            execution = cached.start()
            here()
            return execution

    started, _ = cached.schedule.interleave(uncommitted, HERE, cached.hold, waits=True)
    running.cancel(first)
    assert PendingChange.objects.get().state == "waiting"
    running.cancel(started.value)
    assert PendingChange.objects.get().state == "applied"
    assert_nothing_is_stranded()


# Without comparing the basis


@pytest.mark.parametrize("name", ["callee is a draft", "entity's field"])
def test_start_runs_outdated_version_without_comparing_the_basis(
    cached: CachedStart, name: str
) -> None:
    edit = EDITS[name]
    cached.schedule.without_comparing_basis()
    started, _ = cached.schedule.interleave(
        cached.start, BEFORE_WRITE, lambda: edit.make(cached), waits=False
    )
    with pytest.raises(AssertionError):
        assert_result_after(edit, cached, started)
    assert started.refused is None


@pytest.mark.parametrize("name", ["type", "graph replaced", "retired", "entity's type"])
def test_keys_refuse_start_without_comparing_the_basis(cached: CachedStart, name: str) -> None:
    edit = EDITS[name]
    cached.schedule.without_comparing_basis()
    started, _ = cached.schedule.interleave(
        cached.start, BEFORE_WRITE, lambda: edit.make(cached), waits=False
    )
    assert_result_after(edit, cached, started)
