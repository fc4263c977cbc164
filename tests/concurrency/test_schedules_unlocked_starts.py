"""Starts that read without locks: whatever is written before they write, they look again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from executions import services as running
from executions.models import Execution
from executions.services import advancing
from tests.concurrency.laws import assert_nothing_is_stranded
from tests.concurrency.remembered import (
    EDITS,
    Remembered,
    assert_as_after,
    remembered_fixture,  # noqa: F401  the fixture that the tests ask for
)
from tests.concurrency.schedule import (
    EVERY_LEVEL,
    HERE,
    LEVELS,
    MARKS,
    UNWRITTEN,
    Outcome,
    here,
    isolated,
    unlocked_fixture,  # noqa: F401  the fixture that the tests ask for
)
from workflows import guards
from workflows.db import locks
from workflows.models import PendingChange

pytestmark = MARKS

Work = Callable[[], Any]


EVERY_EDIT = pytest.mark.parametrize("name", EDITS)


@EVERY_EDIT
def test_a_start_that_read_before_an_edit_does_as_if_it_had_read_after_it(
    remembered: Remembered, name: str
) -> None:
    edit = EDITS[name]
    started, _ = remembered.schedule.overtaken(
        remembered.start, UNWRITTEN, lambda: edit.make(remembered), waits=False
    )
    assert_as_after(edit, remembered, started)


@LEVELS
@pytest.mark.parametrize("name", ["type", "graph replaced", "retired", "entity's field"])
def test_so_does_one_on_a_connection_that_isolates_more(
    remembered: Remembered, name: str, level: str
) -> None:
    edit = EDITS[name]
    started, _ = remembered.schedule.overtaken(
        isolated(level, remembered.start), UNWRITTEN, lambda: edit.make(remembered), waits=False
    )
    assert_as_after(edit, remembered, started)


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
def test_a_start_waits_for_an_edit_that_is_not_committed_and_finds_what_it_made(
    remembered: Remembered, name: str, level: str
) -> None:
    edit = EDITS[name]

    def uncommitted() -> None:
        with transaction.atomic():
            edit.make(remembered)
            here()

    _, started = remembered.schedule.overtaken(
        uncommitted, HERE, isolated(level, remembered.start), waits=True
    )
    assert_as_after(edit, remembered, started)


def beside_an_appended_graph(remembered: Remembered, level: str) -> Outcome:
    def uncommitted() -> None:
        with transaction.atomic():
            remembered.append()
            here()

    return remembered.schedule.overtaken(
        uncommitted, HERE, isolated(level, remembered.start), waits=True
    )[1]


@EVERY_LEVEL
def test_a_start_beside_a_graph_that_is_appended_runs_what_it_has_read(
    remembered: Remembered, level: str
) -> None:
    remembered.running_already()
    version = remembered.caller.latest_version
    assert beside_an_appended_graph(remembered, level).value.version == version
    assert_nothing_is_stranded()


@EVERY_LEVEL
def test_but_not_when_that_has_been_let_go(remembered: Remembered, level: str) -> None:
    running.cancel(remembered.running_already())
    started = beside_an_appended_graph(remembered, level)
    assert started.value.version == remembered.caller.latest_version
    assert_nothing_is_stranded()


# Changes on hold


@EVERY_LEVEL
@pytest.mark.parametrize("hold", [Remembered.hold, Remembered.hold_the_callee])
def test_a_start_that_read_before_a_hold_is_refused(
    remembered: Remembered, hold: Callable[[Remembered], None], level: str
) -> None:
    remembered.running_already()
    started, held = remembered.schedule.overtaken(
        isolated(level, remembered.start), UNWRITTEN, lambda: hold(remembered), waits=False
    )
    assert held.refused is None
    if hold is Remembered.hold:
        assert started.refused is guards.Draining
    else:
        assert started.value.version == remembered.caller.latest_version
    assert_nothing_is_stranded()


def entity_taken(remembered: Remembered) -> None:
    """Somebody works on the entity and writes nothing to it."""
    with transaction.atomic():
        advancing.lock_entity(remembered.finding.pk)
        here()


def edited_while_a_start_waits(remembered: Remembered, edit: Work, level: str) -> Outcome:
    other = remembered.schedule.begin(lambda: entity_taken(remembered), HERE)
    start = remembered.schedule.begin(isolated(level, remembered.start))
    start.waits_for(other)
    assert remembered.schedule.begin(edit).end().refused is None
    other.go().end()
    return start.end()


@pytest.mark.parametrize(
    "name", ["type", "graph replaced", "retired", "callee is a draft", "retired and returned"]
)
def test_a_start_that_waits_for_its_entity_while_an_edit_is_made_does_as_if_it_came_after(
    remembered: Remembered, name: str
) -> None:
    edit = EDITS[name]
    started = edited_while_a_start_waits(
        remembered, lambda: edit.make(remembered), "READ COMMITTED"
    )
    assert_as_after(edit, remembered, started)


@EVERY_LEVEL
def test_a_start_that_waits_for_its_entity_while_a_change_is_put_on_hold_is_refused(
    remembered: Remembered, level: str
) -> None:
    remembered.running_already()
    started = edited_while_a_start_waits(remembered, remembered.hold, level)
    assert started.refused is guards.Draining
    assert_nothing_is_stranded()


def test_without_a_written_workflow_the_same_start_would_begin_on_a_draining_one(
    remembered: Remembered, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered.running_already()
    monkeypatch.setattr(locks, "outdate", lambda *_: None)
    started = edited_while_a_start_waits(remembered, remembered.hold, "READ COMMITTED")
    assert started.refused is None


def test_a_hold_waits_for_a_start_that_is_being_written(remembered: Remembered) -> None:
    first = remembered.running_already()

    def uncommitted() -> Execution:
        with transaction.atomic():
            execution = remembered.start()
            here()
            return execution

    started, _ = remembered.schedule.overtaken(uncommitted, HERE, remembered.hold, waits=True)
    running.cancel(first)
    assert PendingChange.objects.get().state == "waiting"
    running.cancel(started.value)
    assert PendingChange.objects.get().state == "applied"
    assert_nothing_is_stranded()


# Were it not looked at again


@pytest.mark.parametrize("name", ["callee is a draft", "entity's field"])
def test_without_the_look_again_the_same_start_runs_what_it_must_not(
    remembered: Remembered, name: str
) -> None:
    edit = EDITS[name]
    remembered.schedule.without_looking_again()
    started, _ = remembered.schedule.overtaken(
        remembered.start, UNWRITTEN, lambda: edit.make(remembered), waits=False
    )
    with pytest.raises(AssertionError):
        assert_as_after(edit, remembered, started)
    assert started.refused is None


@pytest.mark.parametrize("name", ["type", "graph replaced", "retired", "entity's type"])
def test_without_the_look_again_the_keys_hold(remembered: Remembered, name: str) -> None:
    edit = EDITS[name]
    remembered.schedule.without_looking_again()
    started, _ = remembered.schedule.overtaken(
        remembered.start, UNWRITTEN, lambda: edit.make(remembered), waits=False
    )
    assert_as_after(edit, remembered, started)
