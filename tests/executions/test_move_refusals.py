"""Refusals, history and statements of moves."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from executions import services
from executions.models import (
    Execution,
    Move,
    Secret,
    Visits,
)
from executions.services.call_closure import lock_closure, read_closure
from executions.services.decisions import ReasonRequired
from tests.executions.engine.test_branches import source, started
from tests.executions.moves import WHY, correct, move, obstacles, start_at
from tests.executions.test_moves import extra, open_step
from tests.factories import (
    UserFactory,
    WorkflowFactory,
    call,
    form,
    line,
    save_line,
    user_in,
)
from workflows.db import locks
from workflows.models import AuditEntry, Version

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


class TestRefusals:
    @pytest.mark.parametrize(
        ("mapping", "code"),
        [
            ([], "invalid_mapping"),
            ({"form": 1}, "invalid_mapping"),
            ({"form": {"nodes": "form"}}, "invalid_mapping"),
            ({"form": {"node": "form", "restart_step": 1}}, "invalid_mapping"),
            ({"form": None}, "invalid_mapping"),
            ({"form": {"restart_step": True}}, "invalid_mapping"),
            ({"nowhere": "form"}, "unknown_node"),
            ({"nobody/form": "form"}, "unknown_node"),
            ({"form": "nowhere"}, "unknown_target"),
            ({"form": ""}, "unknown_target"),
            ({"form": {"node": "nowhere", "restart_step": True}}, "unknown_target"),
            ({"form": "after"}, "other_type"),
            ({"form": "end"}, "other_type"),
        ],
    )
    def test_wrong_mapping_is_refused(self, mapping: Any, code: str) -> None:
        execution = start_at(form())
        correct(execution, form(), extra())
        assert code in obstacles(execution, mapping=mapping)
        execution.refresh_from_db()
        assert execution.version.number == 1 and not Move.objects.exists()

    def test_unknown_version_is_refused(self) -> None:
        execution = start_at(form())
        assert obstacles(execution, to=9) == ["unknown_version"]
        other = WorkflowFactory().latest_version
        assert obstacles(execution, to=other) == ["unknown_version"]

    @pytest.mark.parametrize("read", [lock_closure, read_closure])
    @pytest.mark.parametrize("has_callee", [False, True])
    def test_version_that_was_deleted_meanwhile_is_read_again(
        self, read: Any, has_callee: bool
    ) -> None:
        callee = WorkflowFactory()
        caller = WorkflowFactory(entity_name_type=callee.entity_name_type)
        latest = save_line(caller, call(callee)) if has_callee else caller.latest_version
        deleted = Version(pk=latest.pk + 1, workflow=caller, number=2)
        with pytest.raises(locks.TryAgain):
            read(caller.pk, deleted)

    def test_present_version_is_refused(self) -> None:
        assert obstacles(start_at(form())) == ["already_there"]

    def test_child_and_ended_execution_are_refused(self) -> None:
        callee = WorkflowFactory()
        save_line(callee, form("inner"))
        caller = WorkflowFactory(entity_name_type=callee.entity_name_type)
        execution = started(line(call(callee)), caller)
        assert obstacles(execution.children.get()) == ["not_a_root"]
        services.cancel(execution)
        assert obstacles(execution) == ["execution_ended"]

    def test_retired_workflow_is_refused(self) -> None:
        execution = start_at(form())
        correct(execution, form(), extra())
        execution.workflow.state = "retired"
        execution.workflow.save()
        assert obstacles(execution) == ["not_active"]

    def test_secret_that_was_deleted_is_refused(self, settings: Any) -> None:
        settings.SECRETS_KEY = [Fernet.generate_key().decode()]
        row = Secret(name="HOOK")
        row.set_value("hunter2-and-more")
        row.save()
        webhook = {"id": "webhook", "type": "webhook", "data": {"secret": "HOOK"}}
        first = start_at(form(), webhook)
        services.cancel(first)
        finding = first.entity
        correct(first, form())
        Secret.objects.all().delete()
        execution = services.start(first.workflow, finding)
        assert obstacles(execution, to=1) == ["unknown_secret"]

    def test_reason_is_required(self) -> None:
        execution = start_at(form())
        correct(execution, form(), extra())
        with pytest.raises(ReasonRequired):
            move(execution, why=" ")

    def test_outdated_plan_is_refused(self) -> None:
        ada = UserFactory()
        execution = start_at(form(), form("second"))
        correct(execution, form(), form("second"), extra())
        token = services.plan_move(execution).token
        services.submit(execution, data={"note": "n"}, by=ada)
        with pytest.raises(Exception, match="changed since the plan"):
            move(execution, token=token)
        move(execution, token=services.plan_move(execution).token)

    def test_saved_graph_outdates_a_plan(self) -> None:
        execution = start_at(form())
        correct(execution, form(), extra())
        token = services.plan_move(execution).token
        correct(execution, form(), extra("later"))
        with pytest.raises(Exception, match="changed since the plan"):
            move(execution, token=token)


class TestHistory:
    def test_move_and_audit_entry_name_both_versions(self) -> None:
        ada = user_in("operator", username="ada")
        execution = start_at(form())
        step = open_step(execution)
        correct(execution, form("new"))
        move(execution, mapping={"form": "new"}, by=ada)
        row = execution.moves.get()
        assert (row.from_version.number, row.to_version.number) == (1, 2)
        assert (row.mover, row.why) == ("ada", WHY)
        assert row.steps == [{"step": step.cuid, "from": "form", "to": "new", "restarted": False}]
        entry = AuditEntry.objects.get(action="moved")
        assert entry.before == {"version": 1, "steps": {step.cuid: "form"}, "pinned": {}}
        assert entry.after == {"version": 2, "steps": {step.cuid: "new"}, "pinned": {}}

    def test_refusal_is_recorded(self) -> None:
        execution = start_at(form())
        correct(execution, form("new"))
        assert obstacles(execution) == ["no_target"]
        entry = AuditEntry.objects.get(action="moved")
        assert entry.refused and entry.code == "move_refused"

    def test_each_visit_has_the_version_that_it_ran_on(self) -> None:
        execution = start_at(extra("first"), form(), extra("second"), form("last"))
        correct(execution, form(), extra("other"), form("last"))
        move(execution)
        services.submit(execution, node="form", data={"note": "n"})
        correct(execution, form("last"), extra("third"))
        move(execution, to=3)
        services.submit(execution, node="last", data={"note": "n"})
        execution = Execution.objects.get()
        assert [(row.node_id, row.version_number) for row in Visits(execution)] == [
            *(("start", 1), ("first", 1), ("form", 2), ("other", 2)),
            *(("last", 3), ("third", 3), ("end", 3)),
        ]

    def test_step_that_began_again_belongs_to_the_old_version(self) -> None:
        execution = start_at(form())
        correct(execution, extra(), form("new"))
        move(execution, mapping={"form": {"node": "after", "restart_step": True}})
        visits = [(row.node_id, row.version_number) for row in Visits(Execution.objects.get())]
        assert visits == [("start", 1), ("form", 1), ("after", 2), ("new", 2)]

    def test_old_version_cannot_be_deleted_while_steps_are_read_with_it(self) -> None:
        execution = start_at(form())
        correct(execution, form(), extra())
        move(execution)
        old = Version.objects.get(number=1)
        with pytest.raises(Exception, match="cannot be deleted"), transaction.atomic():
            old.delete()
        move(execution, to=1)
        correct(execution, form(), extra("other"))
        assert sorted(execution.workflow.versions.values_list("number", flat=True)) == [1, 2, 3]

    def test_released_version_is_put_in_force_again(self) -> None:
        execution = start_at(form())
        correct(execution, form(), extra())
        move(execution)
        correct(execution, form(), extra("other"))
        released = Version.objects.get(number=1)
        assert not released.in_force
        move(execution, to=1)
        released.refresh_from_db()
        assert released.in_force

    def test_moves_are_written_once(self) -> None:
        execution = start_at(form())
        correct(execution, form(), extra())
        move(execution)
        with pytest.raises(DatabaseError), transaction.atomic():
            Move.objects.update(why="another reason")


class TestStatements:
    def count_for_children(self, number: int) -> int:
        """Return the number of statements that move a tree with so many open children."""
        callee = WorkflowFactory()
        save_line(callee, form("inner"))
        calls = [f"c{place}" for place in range(number)]
        nodes: dict[str, Any] = {"start": "start", "fork": "parallel", "end": "end"}
        nodes |= {name: call(callee, name) for name in calls}
        edges = ["start>fork", *(f"fork>{name}" for name in calls), *(f"{n}>end" for n in calls)]
        caller = WorkflowFactory(entity_name_type=callee.entity_name_type)
        execution = started(source(nodes, *edges), caller)
        assert execution.children.count() == number
        save_line(callee, form("inner"), extra())
        with CaptureQueriesContext(connection) as captured:
            move(execution)
        assert execution.children.filter(version__number=2).count() == number
        return len(captured)

    def test_move_takes_no_more_statements_for_more_children(self) -> None:
        few, many = self.count_for_children(2), self.count_for_children(9)
        assert many <= few + 1 <= 60

    def test_move_costs_other_advances_nothing(self) -> None:
        execution, other = start_at(form(), form("second")), start_at(form(), form("second"))
        correct(execution, form(), form("second"), extra())
        move(execution)
        counts = []
        for row in (execution, other):
            with CaptureQueriesContext(connection) as captured:
                services.submit(row, node="form", data={"note": "n"})
            counts.append(len(captured))
        assert counts[0] == counts[1]
