"""The audit log records every edit and every refusal, and entries are never changed."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, transaction

from executions import integrity
from executions import services as running
from executions.models import Execution, Finding
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    UserFactory,
    WorkflowFactory,
    form,
    line,
    save_line,
)
from workflows import editing, guards
from workflows.audit.actor import Actor, Interface, act_as
from workflows.models import AuditCounter, AuditEntry, FindingType, Workflow
from workflows.refusals import Refusal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]


def last() -> AuditEntry:
    entry = AuditEntry.objects.first()
    assert entry is not None
    return entry


def numbers() -> list[int]:
    return list(AuditEntry.objects.order_by("pk").values_list("pk", flat=True))


@pytest.fixture
def idle() -> Workflow:
    return WorkflowFactory(title="Idle")


class TestEdits:
    def test_create_is_recorded(self, idle: Workflow) -> None:
        entry = last()
        assert (entry.kind, entry.action, entry.cuid) == ("workflow", "created", idle.cuid)
        assert (entry.before, entry.after["title"]) == ({}, "Idle")
        assert entry.after["entity_name_type"] == idle.context_type.cuid
        assert (entry.face, entry.refused, entry.code) == ("python", False, "")

    def test_save_records_only_changed_fields(self, idle: Workflow) -> None:
        idle.title = "Renamed"
        idle.save()
        entry = last()
        assert (entry.action, entry.title) == ("changed", "Renamed")
        assert (entry.before, entry.after) == ({"title": "Idle"}, {"title": "Renamed"})

    def test_save_without_changes_is_not_recorded(self, idle: Workflow) -> None:
        before = numbers()
        idle.save()
        assert numbers() == before

    def test_type_change_records_both_cuids(self, idle: Workflow) -> None:
        was, becomes = idle.entity_name_type, FindingTypeFactory()
        user = UserFactory(username="ada")
        editing.change_entity_context([idle], entity_name_type=becomes, by=user, why="reorganized")
        entry = last()
        assert (entry.action, entry.who, entry.user_id) == ("changed", "ada", user.pk)
        assert entry.before == {"entity_name_type": was.cuid}
        assert entry.after == {"entity_name_type": becomes.cuid}
        assert entry.why == "reorganized"

    def test_replaced_graph_is_stored_in_the_entry(self, idle: Workflow) -> None:
        first = idle.latest_version
        version = save_line(idle, form())
        entry = last()
        assert (entry.action, entry.after["version"]) == ("graph_saved", version.number)
        assert entry.before["source"] == first.source
        running.start(idle, FindingFactory(entity_name_type=idle.entity_name_type))
        editing.save_graph(idle, line(), based_on=version.number, notes="simpler")
        entry = last()
        assert "source" not in entry.before
        assert (entry.before["version"], entry.after["version"]) == (1, 2)
        assert entry.why == "simpler"

    def test_bulk_update_is_recorded_row_by_row(self) -> None:
        rows = [WorkflowFactory(title=f"W{number}") for number in range(3)]
        Workflow.objects.filter(title__in=["W0", "W1"]).update(description="bulk")
        messages = AuditEntry.objects.filter(after={"description": "bulk"})
        assert {entry.cuid for entry in messages} == {rows[0].cuid, rows[1].cuid}
        rows[2].title = "bulk"
        Workflow.objects.bulk_update(rows[2:], ["title"])
        assert (last().cuid, last().after) == (rows[2].cuid, {"title": "bulk"})

    def test_bulk_create_is_recorded_row_by_row(self) -> None:
        kind = FindingTypeFactory()
        row = Workflow(title="B", entity_name_type=kind)
        Workflow.objects.bulk_create([row])
        assert (last().action, last().title) == ("created", "B")
        row.title = "C"
        Workflow.objects.bulk_create(
            [row], update_conflicts=True, unique_fields=["cuid"], update_fields=["title"]
        )
        assert (last().action, last().before, last().after) == (
            "changed",
            {"title": "B"},
            {"title": "C"},
        )

    @pytest.mark.parametrize("edit_name", ["delete", "queryset"])
    def test_deletion_records_all_values(self, idle: Workflow, edit_name: str) -> None:
        cuid = idle.cuid
        if edit_name == "delete":
            idle.delete()
        else:
            Workflow.objects.filter(pk=idle.pk).delete()
        entry = last()
        assert (entry.action, entry.cuid, entry.before["title"]) == ("deleted", cuid, "Idle")

    def test_edits_of_types_and_entities_are_recorded(self) -> None:
        kind = FindingTypeFactory(name="Limitation")
        assert (last().kind, last().title) == ("finding type", "Limitation")
        finding = FindingFactory(title="F", entity_name_type=kind)
        finding.fields = {"severity": "high"}
        finding.save()
        assert (last().kind, last().after) == ("entity", {"fields": {"severity": "high"}})
        Finding.objects.filter(pk=finding.pk).update(title="G")
        assert last().after == {"title": "G"}
        finding.delete()
        assert (last().action, last().cuid) == ("deleted", finding.cuid)
        kind.delete()
        assert (last().action, last().kind) == ("deleted", "finding type")

    def test_deletion_of_a_version_is_recorded(self, idle: Workflow) -> None:
        running.start(idle, FindingFactory(entity_name_type=idle.entity_name_type))
        save_line(idle, form())
        Execution.objects.all().delete()
        assert (last().action, last().kind, last().before["status"]) == (
            "deleted",
            "execution",
            "completed",
        )
        version = idle.versions.get(number=1)
        version.delete()
        assert (last().kind, last().before["number"]) == ("version", 1)

    def test_cancel_is_recorded(self, scenario: Scenario) -> None:
        execution = scenario.start()
        before = numbers()
        running.cancel(execution, why="a mistake")
        entry = last()
        assert numbers() == [*before, before[-1] + 1]
        assert (entry.kind, entry.action, entry.cuid) == ("execution", "cancelled", execution.cuid)
        assert (entry.before, entry.after) == ({"status": "waiting"}, {"status": "cancelled"})
        assert entry.why == "a mistake"

    def test_course_of_an_execution_is_not_recorded(self, scenario: Scenario) -> None:
        before = numbers()
        execution = scenario.start()
        running.submit(execution, node="form", data={"note": "n"})
        assert numbers() == before


class TestRefusals:
    def refused(self, edit: Any, code: str) -> AuditEntry:
        before = numbers()
        with pytest.raises(Refusal):
            edit()
        entry = last()
        assert numbers() == [*before, entry.pk], "one attempt, one entry"
        assert (entry.refused, entry.code) == (True, code)
        assert entry.detail
        return entry

    def test_refused_save_is_recorded(self, scenario: Scenario) -> None:
        scenario.start()
        scenario.caller.entity_name_type = scenario.exception
        entry = self.refused(scenario.caller.save, "active_executions")
        assert entry.before == {"entity_name_type": scenario.limitation.cuid}
        assert entry.after == {"entity_name_type": scenario.exception.cuid}

    def test_refused_group_change_is_recorded_per_workflow(self, scenario: Scenario) -> None:
        scenario.start()
        entry = self.refused(
            lambda: editing.change_entity_context(
                [scenario.callee], entity_name_type=scenario.exception, why="because"
            ),
            "dependent_active_executions",
        )
        assert (entry.cuid, entry.why) == (scenario.callee.cuid, "because")

    def test_refused_dry_run_is_not_recorded(self, scenario: Scenario) -> None:
        scenario.start()
        before = numbers()
        with pytest.raises(guards.ActiveExecutions):
            editing.change_entity_context(
                [scenario.caller], entity_name_type=scenario.exception, dry_run=True
            )
        assert numbers() == before

    def test_refused_graph_is_recorded(self, idle: Workflow) -> None:
        entry = self.refused(
            lambda: editing.save_graph(idle, {"nodes": []}, based_on=1), "invalid_graph"
        )
        assert entry.action == "graph_saved"

    def test_refused_bulk_statement_is_recorded(self, idle: Workflow) -> None:
        kind = FindingTypeFactory()
        entry = self.refused(
            lambda: Workflow.objects.filter(pk=idle.pk).update(entity_name_type=kind),
            "use_the_service",
        )
        assert entry.cuid == idle.cuid

    @pytest.mark.parametrize("edit_name", ["delete", "queryset"])
    def test_refused_deletion_is_recorded(self, scenario: Scenario, edit_name: str) -> None:
        rows = Workflow.objects.filter(pk=scenario.callee.pk)
        edit = scenario.callee.delete if edit_name == "delete" else rows.delete
        entry = self.refused(edit, "referenced")
        assert (entry.action, entry.cuid) == ("deleted", scenario.callee.cuid)

    def test_refused_deletion_of_a_type_is_recorded(self, scenario: Scenario) -> None:
        entry = self.refused(scenario.limitation.delete, "type_in_use")
        assert entry.title == "Model Limitation"

    def test_refused_edit_of_an_entity_is_recorded(self, scenario: Scenario) -> None:
        scenario.start()
        scenario.finding.entity_name_type = scenario.exception
        assert self.refused(scenario.finding.save, "entity_in_use").action == "changed"
        assert self.refused(scenario.finding.delete, "entity_in_use").action == "deleted"

    def test_refusal_of_unstorable_text_is_recorded(self, scenario: Scenario) -> None:
        scenario.finding.fields = {"a": "\0b", "c": [float("nan")]}
        entry = self.refused(scenario.finding.save, "invalid_fields")
        assert entry.after == {"fields": {"a": "�b", "c": ["(is not a finite number)"]}}

    def test_refusal_is_rolled_back_with_the_callers_transaction(self, scenario: Scenario) -> None:
        scenario.start()
        before = numbers()
        scenario.caller.entity_name_type = scenario.exception
        with transaction.atomic():
            with pytest.raises(guards.ActiveExecutions):
                scenario.caller.save()
            assert len(numbers()) == len(before) + 1
            transaction.set_rollback(True)
        assert numbers() == before
        with transaction.atomic(), pytest.raises(guards.ActiveExecutions):
            scenario.caller.save()
        assert len(numbers()) == len(before) + 1

    def test_refusal_is_raised_if_recording_fails(
        self, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*args: Any) -> int:
            raise IntegrityError("no room")

        scenario.start()
        before = numbers()
        scenario.caller.entity_name_type = scenario.exception
        with monkeypatch.context() as patched:
            patched.setattr("workflows.audit.log._next_ids", fail)
            with pytest.raises(guards.ActiveExecutions):
                scenario.caller.save()
        assert numbers() == before


class TestActors:
    def test_python_code_has_no_actor(self, idle: Workflow) -> None:
        assert (last().who, last().user_id, last().face) == ("", None, "python")

    def test_actor_is_recorded_and_is_the_author_of_versions(self, idle: Workflow) -> None:
        user = get_user_model().objects.create_user("grace")
        idle.entity_name_type = FindingTypeFactory()
        with act_as(Actor(Interface.COMMAND, "r1", lambda: user)):
            idle.save()
        assert (last().who, last().face, last().request_id) == ("grace", "command", "r1")
        assert idle.latest_version.created_by == user


class TestWriteOnce:
    def test_entry_cannot_be_changed(self, idle: Workflow) -> None:
        entry = last()
        entry.who = "nobody"
        with pytest.raises(guards.AuditLogImmutable):
            entry.save()
        with pytest.raises(IntegrityError), transaction.atomic():
            AuditEntry.objects.filter(pk=entry.pk).update(who="nobody")
        with (
            pytest.raises(IntegrityError),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute("UPDATE workflows_auditentry SET refused = NOT refused")

    def test_entry_cannot_be_deleted(self, idle: Workflow) -> None:
        with pytest.raises(guards.AuditLogImmutable):
            last().delete()
        with pytest.raises(guards.AuditLogImmutable):
            AuditEntry.objects.all().delete()
        with pytest.raises(guards.AuditLogImmutable):
            AuditCounter.objects.all().delete()

    @pytest.mark.postgresql  # A DELETE trigger would break SQLite's flush; see the next test.
    def test_raw_sql_cannot_delete_entries_on_postgresql(self, idle: Workflow) -> None:
        with pytest.raises(IntegrityError), connection.cursor() as cursor:
            cursor.execute("DELETE FROM workflows_auditentry")


@pytest.mark.parametrize("which", ["first", "middle", "last"])
def test_missing_entry_is_found_by_check_integrity(which: str) -> None:
    for number in range(3):
        FindingTypeFactory(name=f"T{number}")
    number = {"first": 1, "middle": 2, "last": 3}[which]
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("ALTER TABLE workflows_auditentry DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM workflows_auditentry WHERE id = %s", [number])
        if connection.vendor == "postgresql":
            cursor.execute("ALTER TABLE workflows_auditentry ENABLE TRIGGER USER")
        cursor.execute("SELECT 1")
    found = [row for row in integrity.find_violations() if row.invariant == "audit_log"]
    assert len(found) == 1
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM workflows_auditcounter")
        if connection.vendor == "postgresql":
            cursor.execute("TRUNCATE workflows_auditentry")
        else:
            cursor.execute("DELETE FROM workflows_auditentry")


def test_rolled_back_attempt_leaves_no_gap() -> None:
    FindingTypeFactory(name="One")
    with pytest.raises(RuntimeError), transaction.atomic():
        FindingTypeFactory(name="Two")
        raise RuntimeError
    with pytest.raises(IntegrityError):
        FindingType.objects.create(name="One")
    FindingTypeFactory(name="Three")
    assert numbers() == [1, 2]
