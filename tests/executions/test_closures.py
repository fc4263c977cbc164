"""Closures: shared by roots, written once, released with their versions, deleted when unused."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from executions import guards
from executions import services as running
from executions.engine.store import store
from executions.integrity import find_violations
from executions.models import Closure, ClosureMember, Execution, closure_checksum, get_closure
from tests.commands import run
from tests.conftest import Scenario
from tests.factories import WorkflowFactory, call, form, save_line
from workflows.models import Version, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.both_databases]


def test_roots_on_the_same_versions_share_a_closure(scenario: Scenario) -> None:
    first, second = scenario.start(), scenario.start()
    assert first.closure_id == second.closure_id is not None
    save_line(scenario.callee, form("inner"))
    third = scenario.start()
    assert third.closure_id != first.closure_id
    assert Closure.objects.count() == 2
    assert find_violations() == []


def test_root_without_calls_has_no_closure(scenario: Scenario) -> None:
    save_line(scenario.callee, form("inner"))
    assert running.start(scenario.callee, scenario.finding).closure_id is None
    assert not Closure.objects.exists()


def test_graph_is_saved_when_an_unused_closure_is_left(scenario: Scenario) -> None:
    version = scenario.caller.latest_version
    get_closure(version, [scenario.callee.latest_version])
    assert save_line(scenario.caller, form("new")).number == version.number + 1
    assert find_violations() == []


def test_release_of_a_pinned_version_empties_the_closure_for_good(scenario: Scenario) -> None:
    ended = running.cancel(scenario.start())
    version = scenario.callee.latest_version
    Version._base_manager.filter(pk=version.pk).update(in_force=False)
    assert list(ended.pins.values_list("version", "key")) == [(version.pk, None)]
    assert Closure.objects.get().context_key is None
    Version._base_manager.filter(pk=version.pk).update(in_force=True)
    started = scenario.start()
    assert started.closure_id != ended.closure_id
    assert [pin.version for pin in started.pins] == [version]
    assert find_violations() == []


def test_start_does_not_use_the_closure_of_a_start_that_was_rolled_back(
    scenario: Scenario,
) -> None:
    with transaction.atomic():
        scenario.start()
        transaction.set_rollback(True)
    other = WorkflowFactory(title="Other caller", entity_name_type=scenario.limitation)
    leaf = WorkflowFactory(title="Leaf", entity_name_type=scenario.limitation)
    save_line(leaf, form("inner"))
    save_line(other, form(), call(leaf))
    # On SQLite, its closure gets the id of the one that was rolled back.
    running.start(other, scenario.finding)
    execution = scenario.start()
    assert [pin.callee for pin in execution.pins] == [scenario.callee]
    assert find_violations() == []


def test_last_deletion_of_an_execution_deletes_its_closure(scenario: Scenario) -> None:
    first, second = running.cancel(scenario.start()), running.cancel(scenario.start())
    first.delete()
    assert Closure.objects.count() == 1
    second.delete()
    assert not Closure.objects.exists() and not ClosureMember.objects.exists()


def test_purge_deletes_closures_before_versions_and_workflows(scenario: Scenario) -> None:
    running.cancel(scenario.start())
    save_line(scenario.callee, form("inner"))
    assert scenario.callee.versions.count() == 2
    run("purge_executions", "--older-than", "0h", "--versions")
    assert not Closure.objects.exists()
    assert scenario.callee.versions.count() == 1
    Workflow.objects.get(pk=scenario.caller.pk).delete()
    Workflow.objects.get(pk=scenario.callee.pk).delete()


def test_version_with_an_unused_closure_is_deleted_with_it(scenario: Scenario) -> None:
    get_closure(scenario.caller.latest_version, [scenario.callee.latest_version])
    assert not Execution.objects.exists()
    Workflow.objects.get(pk=scenario.caller.pk).delete()
    assert not Closure.objects.exists()


def test_stored_closure_gets_no_more_pins(scenario: Scenario) -> None:
    execution = scenario.start()
    leaf = WorkflowFactory(title="Leaf", entity_name_type=scenario.limitation)
    version = save_line(leaf, form("inner"))
    assert execution.closure is not None
    row = ClosureMember(
        closure=execution.closure, callee=leaf, version=version, key=version.context_key
    )
    with pytest.raises(guards.ExecutionFrozen, match="gets no more"):
        row.save()
    with pytest.raises(guards.ExecutionFrozen, match="gets no more"):
        ClosureMember.objects.bulk_create([row])


def test_cached_pins_are_not_mistaken_after_ids_were_reused(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_closures", {})
    root = scenario.start()
    version = scenario.callee.latest_version
    names = [closure_checksum(root.version_id, [version])]
    assert store.pinned(root, names[0])[scenario.callee.cuid].cuid == version.cuid
    version.cuid = f"c{version.cuid[1:][::-1]}"
    names.append(closure_checksum(root.version_id, [version]))
    assert names[0] != names[1]
    assert list(store._closures) == names[:1]


def test_damaged_closure_is_not_cached(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_closures", {})
    root: Any = scenario.start()
    assert store.pinned(root, "0" * 64).keys() == {scenario.callee.cuid}
    assert store._closures == {}
