"""Integrity checks, repairs and the migration of candidate rows."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.db import connection

from executions import repairs, services
from executions.models import Step
from executions.task_queries import waiting_for
from tests.executions.assignees import (
    candidates_of,
    create_member,
    is_flagged,
    start,
    start_approval,
    start_with_assignees,
)
from tests.factories import (
    WorkflowFactory,
    form,
    line,
)
from workflows import editing
from workflows.models import Candidate

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("invariants"),
    pytest.mark.both_databases,
]


def find_and_repair() -> list[str]:
    from executions import integrity

    found = [row.invariant for row in integrity.find_violations()]
    repairs.repair()
    assert integrity.find_violations() == []
    return found


class TestDamage:
    def test_missing_candidate_is_found_and_restored(self) -> None:
        ada = create_member("ada", "risk")
        execution = start_with_assignees(groups=["risk"])
        Candidate.objects.all().delete()
        assert find_and_repair() == ["I9"]
        services.submit(execution, data={"note": "n"}, by=ada)

    def test_surplus_candidate_is_found_and_deleted(self) -> None:
        create_member("ada", "risk")
        execution = start_with_assignees(groups=["risk"])
        (row,) = candidates_of(execution)
        row.pk, row.name = None, "other"
        row.save()
        assert find_and_repair() == ["I9"]
        assert len(candidates_of(execution)) == 1

    def test_unknown_candidate_is_resolved_when_account_exists(self) -> None:
        workflow = WorkflowFactory()
        source = line(form(assignees={"groups": ["risk"]}))
        editing.save_graph(workflow, source, based_on=1, allow_unknown=True)
        (group,) = Group.objects.bulk_create([Group(name="risk")])
        assert find_and_repair() == ["I9"]
        (row,) = candidates_of(start(workflow))
        assert row.group_id == group.pk

    def test_candidate_with_wrong_needed_is_repaired_and_keeps_account(self) -> None:
        create_member("ada", "board")
        execution = start_approval(groups=["board"], needed=2)
        Group.objects.filter(name="board").update(name="committee")
        Candidate.objects.update(needed=1)
        assert not is_flagged(execution)
        assert find_and_repair() == ["I9"]
        assert is_flagged(execution)
        (row,) = candidates_of(execution, "vote")
        assert row.group == Group.objects.get(name="committee")

    @pytest.mark.parametrize("key", ["", '{"users":["eve"]}', '{"step":"c0"}'])
    def test_step_with_other_assignees_gets_those_of_its_version(self, key: str) -> None:
        ada = create_member("ada", "risk")
        execution = start_with_assignees(groups=["risk"])
        Step._base_manager.filter(type="user_action").update(assignees=key)
        assert find_and_repair() == ["I8"]
        assert [step.execution_id for step in waiting_for(ada)] == [execution.pk]

    def test_reassigned_step_without_candidates_gets_those_of_its_version(self) -> None:
        ada = create_member("ada", "risk")
        create_member("grace")
        execution = start_with_assignees(groups=["risk"])
        services.reassign(execution, users=["grace"], node="form", why="w")
        Candidate.objects.exclude(step="").delete()
        assert find_and_repair() == ["I8"]
        assert waiting_for(ada).exists()


class TestMigration:
    def test_migration_resolves_candidates_of_versions_and_open_steps(self) -> None:
        ada = create_member("ada", "risk")
        execution = start_with_assignees(groups=["risk"], users=["ada"])
        known = list(Candidate.objects.order_by("is_group").values("name", "key", "group", "user"))
        migration: Any = import_module("executions.migrations.0020_candidates_of_versions")
        editor: Any = connection.schema_editor()
        migration.name_again(apps, editor)
        step = execution.steps.get(type="user_action")
        assert step.assignees == '{"groups":["risk"],"users":["ada"]}'
        assert not Candidate.objects.exists()
        migration.resolve(apps, editor)
        migration.resolve(apps, editor)
        again = Candidate.objects.order_by("is_group").values("name", "key", "group", "user")
        assert list(again) == known
        assert waiting_for(ada).exists()
