"""Closures between starts, ends and edits, without the locks of the services.

The chain decides alone: the key of a member follows its version, a trigger empties the key of the
closure, and the key of a live root rejects that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from executions import services as running
from executions.engine import closures
from executions.integrity import find_violations
from executions.models import Closure, Execution, delete_unused_closures
from tests.concurrency.actions import change, pause_before_commit, submit
from tests.concurrency.invariants import assert_nothing_is_stranded
from tests.concurrency.schedule import (
    EVERY_LEVEL,
    HERE,
    MARKS,
    Outcome,
    Schedule,
    at_isolation,
    save,
    unlocked_fixture,  # noqa: F401  the fixture that the tests ask for
)
from tests.conftest import Scenario
from tests.factories import FindingFactory, form
from workflows import editing, guards
from workflows.db import locks
from workflows.guards.database_errors import translate_database_errors
from workflows.models import Version

pytestmark = MARKS

KEY = "executions_execution_closure_fk"
TRIGGER = "executions_closure_released"


class Pinned:
    """A caller and a callee whose closure is cached; an ended root keeps the closure stored."""

    def __init__(self, schedule: Schedule, scenario: Scenario) -> None:
        self.schedule = schedule
        self.scenario = scenario
        running.cancel(self.start())
        self.version: Version = scenario.callee.latest_version
        self.closure = Closure.objects.get()
        schedule.without_locks()

    def start(self) -> Execution:
        return running.start(self.scenario.caller, self.scenario.finding)

    # Edits that release the pinned version

    @translate_database_errors
    @locks.retrying
    def release(self) -> None:
        with transaction.atomic():
            Version._base_manager.filter(pk=self.version.pk).update(in_force=False)

    def retire(self) -> None:
        with transaction.atomic():
            editing.retire(self.scenario.caller)
            editing.retire(self.scenario.callee)

    def save(self) -> None:
        assert save(self.scenario.callee, form("new")).created

    def change(self) -> None:
        change(self.scenario, self.scenario.caller, self.scenario.callee)

    def is_released(self) -> bool:
        self.version.refresh_from_db()
        self.closure.refresh_from_db()
        return not self.version.in_force

    def interleave(
        self, level: str, first: Callable[[], Any], second: Callable[[], Any], *, waits: bool = True
    ) -> tuple[Outcome, Outcome]:
        """Pause ``first`` before its commit, and run ``second``."""
        one = at_isolation(level, locks.retrying(pause_before_commit(first)))
        return self.schedule.interleave(one, HERE, at_isolation(level, second), waits=waits)


@pytest.fixture(name="pinned")
def pinned_fixture(unlocked: Schedule, scenario: Scenario) -> Pinned:
    return Pinned(unlocked, scenario)


EDITS: dict[str, Callable[[Pinned], None]] = {
    "release": Pinned.release,
    "retire": Pinned.retire,
    "save": Pinned.save,
    "change": Pinned.change,
}
EVERY_EDIT = pytest.mark.parametrize("edit", EDITS)


@EVERY_LEVEL
@EVERY_EDIT
def test_edit_after_a_start_does_not_release_the_pinned_version(
    pinned: Pinned, edit: str, level: str
) -> None:
    started, edited = pinned.interleave(level, pinned.start, lambda: EDITS[edit](pinned))
    assert started.refused is None
    assert not pinned.is_released()
    assert pinned.closure.context_key is not None
    assert edited.refused is not None or edit in ("retire", "save")
    assert [row for row in find_violations() if row.root] == []
    assert_nothing_is_stranded()


@EVERY_LEVEL
@EVERY_EDIT
def test_start_after_an_edit_does_not_use_the_released_closure(
    pinned: Pinned, edit: str, level: str
) -> None:
    edited, started = pinned.interleave(level, lambda: EDITS[edit](pinned), pinned.start)
    assert edited.refused is None
    assert pinned.is_released()
    assert pinned.closure.context_key is None
    assert (started.refused is None) == (edit == "save")
    assert not pinned.closure.executions.filter(live_key__isnull=False).exists()
    assert_nothing_is_stranded()


@EVERY_LEVEL
@pytest.mark.parametrize("edit", EDITS)
def test_edit_during_the_end_of_the_last_root_waits_or_keeps_the_version(
    pinned: Pinned, edit: str, level: str
) -> None:
    root = pinned.start()
    # The audit entry of a cancellation would make the other edits wait.
    end = running.cancel if edit == "release" else submit
    ended, edited = pinned.interleave(
        level,
        lambda: end(root),
        lambda: EDITS[edit](pinned),
        waits=edit == "release",
    )
    assert ended.refused is None
    assert pinned.is_released() == (edit == "release")
    assert (edited.refused is not None) == (edit == "change")
    assert_nothing_is_stranded()


@EVERY_LEVEL
@EVERY_EDIT
def test_edit_before_the_end_of_the_last_root_keeps_the_version(
    pinned: Pinned, edit: str, level: str
) -> None:
    root = pinned.start()
    one = pinned.schedule.begin(at_isolation(level, lambda: EDITS[edit](pinned)))
    edited = one.end()
    assert not pinned.is_released()
    assert (edited.refused is not None) == (edit in ("release", "change"))
    running.cancel(root)
    pinned.release()
    assert pinned.is_released() and pinned.closure.context_key is None
    assert_nothing_is_stranded()


# Without the key or the trigger


def retire_callee(pinned: Pinned) -> None:
    editing.retire(pinned.scenario.callee)


def change_callee(pinned: Pinned) -> None:
    change(pinned.scenario, pinned.scenario.callee)


OTHER_DEFENCES: dict[str, tuple[Callable[[Pinned], None], list[str], list[str]]] = {
    "release": (Pinned.release, [], []),
    "save": (Pinned.save, [], []),
    "retire": (retire_callee, ["refuse_referenced"], ["workflows_workflow_called"]),
    "change": (change_callee, ["refuse_context_change"], ["workflows_reference_callee_fk"]),
}
"""Edits of the callee alone, with the guards and the keys of its calls, which refuse them too."""
TAKEN_OUT = pytest.mark.parametrize("taken_out", [KEY, TRIGGER])


def accept(*args: Any, **kwargs: Any) -> None:
    """Refuse nothing."""


@TAKEN_OUT
@pytest.mark.parametrize("edit", OTHER_DEFENCES)
def test_start_is_stranded_by_an_edit_without_the_key_or_the_trigger(
    pinned: Pinned, edit: str, taken_out: str
) -> None:
    make, refusals, keys = OTHER_DEFENCES[edit]
    for name in refusals:
        pinned.schedule.patch.setattr(guards, name, accept)
    pinned.schedule.without(taken_out, *keys)
    started, edited = pinned.interleave(
        "READ COMMITTED",
        pinned.start,
        lambda: make(pinned),
        waits=taken_out == KEY or edit == "change",
    )
    assert (started.refused, edited.refused) == (None, None)
    assert pinned.is_released()
    assert started.value.cuid in {row.cuid for row in find_violations()}


@TAKEN_OUT
def test_start_uses_a_released_closure_without_the_key_or_the_trigger(
    pinned: Pinned, taken_out: str
) -> None:
    pinned.schedule.without(taken_out)
    edited, started = pinned.interleave(
        "READ COMMITTED", pinned.release, pinned.start, waits=taken_out == KEY
    )
    assert (edited.refused, started.refused) == (None, None)
    assert started.value.cuid in {row.cuid for row in find_violations()}


@TAKEN_OUT
@EVERY_LEVEL
def test_live_root_is_stranded_by_a_release_without_the_key_or_the_trigger(
    pinned: Pinned, taken_out: str, level: str
) -> None:
    root = pinned.start()
    pinned.schedule.without(taken_out)
    assert pinned.schedule.begin(at_isolation(level, pinned.release)).end().refused is None
    assert root.cuid in {row.cuid for row in find_violations()}


# Creation and deletion


@EVERY_LEVEL
def test_two_first_starts_share_one_closure(pinned: Pinned, level: str) -> None:
    pinned.save()
    other = FindingFactory(entity_name_type=pinned.scenario.limitation)
    first, second = pinned.interleave(
        level, pinned.start, lambda: running.start(pinned.scenario.caller, other)
    )
    assert (first.refused, second.refused) == (None, None)
    assert first.value.closure_id == second.value.closure_id != pinned.closure.pk
    assert_nothing_is_stranded()


@EVERY_LEVEL
def test_closure_of_an_uncommitted_start_is_not_deleted(pinned: Pinned, level: str) -> None:
    Execution._base_manager.all().delete()
    pinned.schedule.patch.undo()
    pinned.schedule.__post_init__()
    first, deleted = pinned.interleave(
        level, pinned.start, lambda: delete_unused_closures(Closure.objects.all()), waits=False
    )
    assert (first.refused, deleted.value) == (None, 0)
    assert_nothing_is_stranded()


@EVERY_LEVEL
def test_start_stores_its_closure_again_after_a_deletion(pinned: Pinned, level: str) -> None:
    assert closures.cached_closure(pinned.scenario.caller.pk) is not None
    Execution._base_manager.get().delete()
    assert not Closure.objects.exists()
    started = pinned.schedule.begin(at_isolation(level, pinned.start)).end()
    assert started.value.pins.get().version == pinned.version
    assert_nothing_is_stranded()
