"""Changes on hold prevent new starts and are applied when the last blocker has ended."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from executions import integrity
from executions import services as running
from executions.models import Execution
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    WorkflowFactory,
    call,
    end_unseen,
    form,
    save_line,
)
from workflows import editing, guards
from workflows.db.locks import Contention
from workflows.editing import change_context, drain
from workflows.editing.context_change import ContextChange
from workflows.models import AuditEntry, PendingChange, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]


def submit(execution: Execution) -> None:
    running.submit(execution, node="form", data={"note": "n"})


def types(scenario: Scenario) -> set[str]:
    rows = Workflow.objects.filter(pk__in=[scenario.caller.pk, scenario.callee.pk])
    return set(rows.values_list("entity_name_type__name", flat=True))


def test_change_is_applied_at_once_without_blockers(scenario: Scenario) -> None:
    changed = scenario.hold()
    assert changed.pending is None
    assert [version.workflow_id for version in changed.versions]
    assert types(scenario) == {"Policy Exception"}


def test_pending_change_names_the_user_who_requested_it(pending: PendingChange) -> None:
    assert pending.state == PendingChange.State.WAITING
    assert pending.asked_by is not None
    assert pending.asked_by.get_username() == "ada"
    assert str(pending) == "“Workflow 3”, “Workflow 4” to Policy Exception"


def test_workflows_are_unchanged_while_the_change_is_on_hold(
    scenario: Scenario, pending: PendingChange
) -> None:
    assert types(scenario) == {"Model Limitation"}


@pytest.mark.parametrize("who", ["caller", "callee", "dependent"])
def test_root_start_on_draining_workflow_is_refused(
    scenario: Scenario, pending: PendingChange, who: str
) -> None:
    if who == "dependent":
        workflow = WorkflowFactory(entity_name_type=scenario.limitation)
        save_line(workflow, call(scenario.callee))
    else:
        workflow = getattr(scenario, who)
    with pytest.raises(guards.Draining) as refused:
        running.start(workflow, scenario.finding)
    assert "ada requested to" in refused.value.message
    assert "to “Policy Exception” when" in refused.value.message
    assert pending.cuid in refused.value.remedies[0].detail


def test_root_start_on_other_workflow_is_accepted(
    scenario: Scenario, pending: PendingChange
) -> None:
    other = WorkflowFactory(entity_name_type=scenario.limitation)
    assert running.start(other, scenario.finding).status == "completed"


def test_pinned_calls_continue_and_the_last_end_applies_the_change(
    scenario: Scenario, pending: PendingChange
) -> None:
    save_line(scenario.callee, form("inner"))
    execution = Execution.objects.get()
    submit(execution)
    assert execution.children.get().status == "completed", "it runs what it has pinned"
    pending.refresh_from_db()
    assert pending.state == PendingChange.State.APPLIED
    assert pending.settled_at is not None
    assert types(scenario) == {"Policy Exception"}
    version = Workflow.objects.get(pk=scenario.caller.pk).latest_version
    assert (version.notes, version.created_by) == ("Reclassified", pending.asked_by)


def test_change_waits_for_the_last_blocker(scenario: Scenario, pending: PendingChange) -> None:
    editing.withdraw(pending)
    executions = [Execution.objects.get(), scenario.start()]
    again = scenario.hold().pending
    assert again is not None
    submit(executions[0])
    assert PendingChange.objects.get().state == "waiting"
    running.cancel(executions[1])
    assert PendingChange.objects.get().state == "applied"
    assert types(scenario) == {"Policy Exception"}


def test_starts_are_accepted_after_the_change(scenario: Scenario, pending: PendingChange) -> None:
    running.cancel(Execution.objects.get())
    finding = FindingFactory(entity_name_type=scenario.exception)
    assert running.start(scenario.caller, finding).status == "waiting"


def test_rolled_back_end_does_not_apply_the_change(
    scenario: Scenario, pending: PendingChange
) -> None:
    with transaction.atomic():
        submit(Execution.objects.get())
        transaction.set_rollback(True)
    assert PendingChange.objects.get().state == "waiting"
    assert types(scenario) == {"Model Limitation"}


class TestWithdraw:
    def test_withdrawal_allows_starts_and_is_recorded(
        self, scenario: Scenario, pending: PendingChange
    ) -> None:
        editing.withdraw(pending)
        assert not PendingChange.objects.exists()
        assert scenario.start().status == "waiting"
        messages = list(
            AuditEntry.objects.filter(cuid=pending.cuid).values_list("action", flat=True)
        )
        assert messages == ["withdrawn", "put_on_hold"]

    def test_withdrawn_change_is_not_applied(
        self, scenario: Scenario, pending: PendingChange
    ) -> None:
        editing.withdraw(pending)
        submit(Execution.objects.get())
        assert types(scenario) == {"Model Limitation"}

    def test_second_withdrawal_is_refused(self, pending: PendingChange) -> None:
        editing.withdraw(pending)
        with pytest.raises(guards.RowDeleted):
            editing.withdraw(pending)

    def test_withdrawal_of_an_applied_change_is_refused(
        self, scenario: Scenario, pending: PendingChange
    ) -> None:
        submit(Execution.objects.get())
        with pytest.raises(guards.NotOnHold):
            editing.withdraw(pending)


class TestRefusals:
    def test_change_that_stays_impossible_is_not_put_on_hold(self, scenario: Scenario) -> None:
        scenario.start()
        with pytest.raises(guards.IncompatibleEntityTypes) as refused:
            scenario.hold(scenario.caller)
        assert [row.code for row in refused.value.remedies] == ["change_together"]
        assert not PendingChange.objects.exists()

    def test_second_change_on_hold_is_refused(
        self, scenario: Scenario, pending: PendingChange
    ) -> None:
        with pytest.raises(guards.Draining):
            scenario.hold()
        assert PendingChange.objects.count() == 1

    def test_dry_run_puts_nothing_on_hold(self, scenario: Scenario) -> None:
        scenario.start()
        assert scenario.hold(dry_run=True).on_hold is True
        assert not PendingChange.objects.exists()
        with pytest.raises(guards.IncompatibleEntityTypes):
            scenario.hold(scenario.caller, dry_run=True)

    def test_type_of_a_pending_change_cannot_be_deleted(
        self, scenario: Scenario, pending: PendingChange
    ) -> None:
        with pytest.raises(guards.TypeInUse, match="1 pending change"):
            scenario.exception.delete()


@pytest.mark.parametrize("torn", ["member", "change"])
def test_inconsistent_hold_is_found_by_check_integrity(pending: PendingChange, torn: str) -> None:
    if torn == "member":
        pending.members.update(waiting=False)
    else:
        PendingChange.objects.update(state="applied")
    found = [row for row in integrity.find_violations() if row.invariant == "pending_change"]
    assert {row.cuid for row in found} == {pending.cuid}
    PendingChange.objects.all().delete()


class TestNotApplied:
    def test_refused_change_stores_its_reason(
        self, scenario: Scenario, pending: PendingChange
    ) -> None:
        other = WorkflowFactory(title="Other", entity_name_type=scenario.limitation)
        save_line(scenario.callee, call(other))
        submit(Execution.objects.get())
        pending.refresh_from_db()
        assert (pending.state, pending.code) == ("not_applied", "incompatible_entity_types")
        assert pending.reason.startswith("Run Workflow: Incompatible entity name types.")
        assert types(scenario) == {"Model Limitation"}
        assert scenario.start().status == "waiting", "what could not be made holds nothing"
        entry = AuditEntry.objects.filter(cuid=pending.cuid).first()
        assert entry is not None
        assert entry.action == "not_applied"

    def test_deletion_of_a_workflow_is_the_reason(self, scenario: Scenario) -> None:
        scenario.start()
        extra = WorkflowFactory(entity_name_type=scenario.limitation)
        found = scenario.hold(scenario.caller, scenario.callee, extra).pending
        assert found is not None
        extra.delete()
        submit(Execution.objects.get())
        found.refresh_from_db()
        assert (found.state, found.code) == ("not_applied", "gone")

    def test_refused_change_can_be_removed_and_requested_again(
        self, scenario: Scenario, pending: PendingChange
    ) -> None:
        other = WorkflowFactory(entity_name_type=scenario.limitation)
        save_line(scenario.callee, call(other))
        submit(Execution.objects.get())
        editing.withdraw(pending)
        changed = scenario.hold(scenario.caller, scenario.callee, other)
        assert changed.pending is None
        assert types(scenario) == {"Policy Exception"}


class TestRunDue:
    """Executions that ended without a signal, by SQL or in a process that was killed."""

    def test_run_due_applies_a_drained_change(
        self, scenario: Scenario, pending: PendingChange
    ) -> None:
        end_unseen(Execution.objects.get())
        assert types(scenario) == {"Model Limitation"}
        assert [row.pk for row in editing.apply_all_drained()] == [pending.pk]
        assert types(scenario) == {"Policy Exception"}
        assert editing.apply_all_drained() == []

    def test_run_due_leaves_a_blocked_change(self, pending: PendingChange) -> None:
        assert editing.apply_all_drained() == []
        assert PendingChange.objects.get().state == "waiting"

    def test_contention_leaves_the_change_to_run_due_and_keeps_the_end(
        self, scenario: Scenario, pending: PendingChange, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def busy(pk: int) -> None:
            raise Contention

        with monkeypatch.context() as patched:
            patched.setattr(drain, "_apply", busy)
            submit(Execution.objects.get())
        assert Execution.objects.filter(parent=None).get().status == "completed"
        assert PendingChange.objects.get().state == "waiting"
        editing.apply_all_drained()
        assert types(scenario) == {"Policy Exception"}

    def test_end_between_judgement_and_hold_applies_the_change(
        self, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        execution = scenario.start()
        judge = ContextChange.judge_hold

        def judge_and_end(change: ContextChange) -> None:
            judge(change)
            end_unseen(execution)

        monkeypatch.setattr(ContextChange, "judge_hold", judge_and_end)
        found = scenario.hold().pending
        assert found is not None
        found.refresh_from_db()
        assert found.state == "applied"


class TestTokens:
    def impact_of(self, scenario: Scenario, *workflows: Workflow) -> editing.Impact:
        context = editing.resolve_context(entity_name_type=scenario.exception)
        return editing.impact(workflows or [scenario.caller, scenario.callee], context)

    def change(self, scenario: Scenario, token: str, **how: Any) -> editing.ContextChangeResult:
        return editing.change_entity_context(
            [scenario.caller, scenario.callee],
            entity_name_type=scenario.exception,
            token=token,
            **how,
        )

    def test_impact_describes_the_versions(self, scenario: Scenario) -> None:
        found = self.impact_of(scenario)
        assert found.is_allowed
        assert {(row.workflow.title, row.number, row.replaces) for row in found.versions} == {
            ("Workflow 3", 1, True),
            ("Workflow 4", 1, True),
        }
        running.cancel(scenario.start())
        assert {(row.number, row.replaces) for row in self.impact_of(scenario).versions} == {
            (2, False)
        }
        assert types(scenario) == {"Model Limitation"}

    def test_impact_names_the_refusal_and_the_group(self, scenario: Scenario) -> None:
        found = self.impact_of(scenario, scenario.callee)
        assert not found.is_allowed
        assert found.refusal is not None
        assert found.refusal.code == "incompatible_entity_types"
        assert [row.title for row in found.group] == ["Workflow 3", "Workflow 4"]
        execution = scenario.start()
        found = self.impact_of(scenario, scenario.callee)
        assert found.refusal is not None
        assert found.refusal.code == "dependent_active_executions"
        assert [row.cuid for row in found.refusal.blockers.executions] == [execution.cuid]

    def test_fresh_token_is_accepted(self, scenario: Scenario) -> None:
        assert self.change(scenario, self.impact_of(scenario).token).versions

    def test_new_execution_makes_the_token_stale(self, scenario: Scenario) -> None:
        token = self.impact_of(scenario).token
        execution = scenario.start()
        with pytest.raises(guards.StaleToken, match="Execution") as refused:
            self.change(scenario, token, when="drained")
        assert [row.cuid for row in refused.value.blockers.executions] == [execution.cuid]
        assert refused.value.problems[0].code == "new_execution"
        assert not PendingChange.objects.exists()

    def test_new_execution_makes_the_token_stale_before_the_hold(
        self, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scenario.start()
        token = self.impact_of(scenario).token
        put_on_hold = drain.put_on_hold

        def start_first(*args: Any, **how: Any) -> PendingChange:
            scenario.start()
            return put_on_hold(*args, **how)

        monkeypatch.setattr(change_context, "put_on_hold", start_first)
        with pytest.raises(guards.StaleToken):
            self.change(scenario, token, when="drained")
        assert not PendingChange.objects.exists()
        monkeypatch.undo()
        assert self.change(scenario, self.impact_of(scenario).token, when="drained").on_hold

    def test_ended_execution_does_not_make_the_token_stale(self, scenario: Scenario) -> None:
        first, second = scenario.start(), scenario.start()
        token = self.impact_of(scenario).token
        running.cancel(first)
        assert self.change(scenario, token, when="drained").on_hold
        running.cancel(second)
        assert types(scenario) == {"Policy Exception"}

    def test_new_version_makes_the_token_stale(self, scenario: Scenario) -> None:
        token = self.impact_of(scenario).token
        save_line(scenario.callee, form())
        with pytest.raises(guards.StaleToken, match=r"“Workflow 3” .* has another version"):
            self.change(scenario, token)

    def test_new_type_makes_the_token_stale(self, scenario: Scenario) -> None:
        token = self.impact_of(scenario).token
        both = [scenario.caller, scenario.callee]
        editing.change_entity_context(both, entity_name_type=FindingTypeFactory())
        with pytest.raises(guards.StaleToken, match="has another finding type"):
            self.change(scenario, token)

    def test_new_caller_makes_the_token_stale(self, scenario: Scenario) -> None:
        token = self.impact_of(scenario).token
        caller = WorkflowFactory(title="New caller", entity_name_type=scenario.limitation)
        save_line(caller, call(scenario.callee))
        with pytest.raises(guards.StaleToken, match=r"“New caller” .* is now affected"):
            self.change(scenario, token)

    def test_token_of_another_change_is_invalid(self, scenario: Scenario) -> None:
        for token in (self.impact_of(scenario, scenario.caller).token, "nonsense", ""):
            with pytest.raises(guards.InvalidToken):
                self.change(scenario, token)

    def test_dry_run_checks_the_token(self, scenario: Scenario) -> None:
        token = self.impact_of(scenario).token
        scenario.start()
        with pytest.raises(guards.StaleToken):
            self.change(scenario, token, dry_run=True)
