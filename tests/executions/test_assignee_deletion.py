"""Deleting groups and users that are assigned to open steps, and their candidate rows."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from executions import services
from executions.models import Execution
from executions.services.assigned_accounts import PeopleInUse
from executions.services.purging import Purged, purge
from executions.task_queries import waiting_for
from tests.executions.assignees import (
    candidates_of,
    create_member,
    is_flagged,
    start,
    start_unassigned,
    start_with_assignees,
)
from tests.factories import (
    WorkflowFactory,
    accounts,
    form,
    save_line,
    user_in,
)
from workflows.models import AuditEntry, Candidate, Version

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("invariants"),
    pytest.mark.both_databases,
]


class TestDeletion:
    @pytest.mark.parametrize("how", ["instance", "queryset"])
    @pytest.mark.parametrize("who", ["group", "user"])
    def test_deletion_of_sole_assignee_is_refused(self, who: str, how: str) -> None:
        ada = create_member("ada", "risk")
        execution = (
            start_with_assignees(groups=["risk"])
            if who == "group"
            else start_with_assignees(users=["ada"])
        )
        row: Any = Group.objects.get(name="risk") if who == "group" else ada
        target = row if how == "instance" else type(row).objects.filter(pk=row.pk)
        with pytest.raises(PeopleInUse) as refused, transaction.atomic():
            target.delete()
        assert refused.value.code == "in_use"
        assert [one.cuid for one in refused.value.blockers.executions] == [execution.cuid]
        assert [one.code for one in refused.value.remedies] == ["reassign"]

    @pytest.mark.parametrize("who", ["group", "user"])
    @pytest.mark.parametrize("selected", [False, True])
    def test_admin_shows_blockers_of_a_deletion(self, who: str, selected: bool) -> None:
        ada = create_member("ada", "risk")
        execution = (
            start_with_assignees(groups=["risk"])
            if who == "group"
            else start_with_assignees(users=["ada"])
        )
        row: Any = Group.objects.get(name="risk") if who == "group" else ada
        browser = Browser()
        browser.force_login(user_in("administrator", is_staff=True))
        if selected:
            sent = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
            answer = browser.post(reverse(f"admin:auth_{who}_changelist"), sent)
        else:
            url = reverse(f"admin:auth_{who}_delete", args=[row.pk])
            answer = browser.post(url, {"post": "yes"})
        assert type(row).objects.filter(pk=row.pk).exists()
        assert str(execution.entity) in answer.content.decode()
        assert AuditEntry.objects.filter(refused=True, code="in_use").count() == 1

    @pytest.mark.parametrize("error", [PeopleInUse(), IntegrityError("foreign key")])
    @pytest.mark.parametrize("selected", [False, True])
    def test_admin_shows_refusal_when_deletion_fails_after_its_check(
        self, selected: bool, error: Exception, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        group = Group.objects.create(name="risk")
        monkeypatch.setattr("executions.signals.refuse_people_deletion", Mock(side_effect=error))
        browser = Browser()
        browser.force_login(user_in("administrator", is_staff=True))
        if selected:
            url = reverse("admin:auth_group_changelist")
            sent = {"action": "delete_selected", "_selected_action": [group.pk], "post": "yes"}
        else:
            url, sent = reverse("admin:auth_group_delete", args=[group.pk]), {"post": "yes"}
        answer = browser.post(url, sent)
        assert (answer.status_code, answer["Location"]) == (302, url)
        assert Group.objects.filter(pk=group.pk).exists() and not LogEntry.objects.exists()
        messages = [str(one) for one in browser.get(url).context["messages"]]
        assert len(messages) == 1 and "deleted successfully" not in messages[0]

    def test_group_is_deleted_when_other_assignees_remain(self) -> None:
        create_member("ada", "risk")
        create_member("grace", "audit")
        execution = start_with_assignees(groups=["risk", "audit"])
        Group.objects.get(name="risk").delete()
        assert not is_flagged(execution)

    def test_deletion_of_all_assigned_groups_together_is_refused(self) -> None:
        create_member("ada", "risk")
        create_member("grace", "audit")
        start_with_assignees(groups=["risk", "audit"])
        with pytest.raises(PeopleInUse), transaction.atomic():
            Group.objects.filter(name__in=["risk", "audit"]).delete()

    def test_deletion_of_last_member_of_assigned_group_is_refused(self) -> None:
        ada, grace = create_member("ada", "risk"), create_member("grace", "risk")
        start_with_assignees(groups=["risk"])
        grace.delete()
        with pytest.raises(PeopleInUse), transaction.atomic():
            ada.delete()

    def test_group_is_deleted_when_only_ended_executions_name_it(self) -> None:
        ada = create_member("ada", "risk")
        execution = start_with_assignees(groups=["risk"])
        services.submit(execution, data={"note": "n"}, by=ada)
        Group.objects.get(name="risk").delete()
        (row,) = candidates_of(execution)
        assert row.is_deleted and row.current_name == "risk"

    def test_namesake_of_deleted_group_is_no_candidate(self) -> None:
        create_member("ada", "risk")
        workflow = WorkflowFactory()
        save_line(workflow, form(assignees={"groups": ["risk"]}))
        Group.objects.get(name="risk").delete()
        eve = create_member("eve", "risk")
        execution = start(workflow)
        assert is_flagged(execution) and not waiting_for(eve).exists()

    def test_audit_entry_lists_members_and_candidacies_of_deleted_group(self) -> None:
        create_member("ada", "risk")
        workflow = WorkflowFactory()
        version = save_line(workflow, form(assignees={"groups": ["risk"]}))
        Group.objects.get(name="risk").delete()
        entry = AuditEntry.objects.get(kind="group", action="deleted")
        assert entry.before == {
            "name": "risk",
            "members": ["ada"],
            "candidate_of": [
                {"workflow": workflow.cuid, "version": version.number, "node": "form"}
            ],
        }
        User.objects.get(username="ada").delete()
        entry = AuditEntry.objects.get(kind="user", action="deleted")
        assert "password" not in entry.before and entry.before["name"] == "ada"


def test_replacing_a_version_deletes_its_candidates() -> None:
    accounts(groups=["risk"])
    workflow = WorkflowFactory()
    save_line(workflow, form(assignees={"groups": ["risk"]}))
    save_line(workflow, form())
    assert not Candidate.objects.exists() and Version.objects.count() == 1


@pytest.mark.parametrize("how", ["purged", "deleted"])
def test_candidates_of_reassigned_step_are_deleted_with_execution(how: str) -> None:
    execution = start_unassigned()
    grace = create_member("grace")
    services.reassign(execution, users=["grace"], node="form", why="w")
    services.submit(execution, data={"note": "n"}, by=grace)
    assert Candidate.objects.exclude(step="").exists()
    if how == "purged":
        list(purge(timezone.now(), done=Purged(), rest=0))
    else:
        Execution.objects.get(pk=execution.pk).delete()
    assert not Candidate.objects.exclude(step="").exists()
    assert len(candidates_of(execution)) == 1
