"""Whom a step asks: accounts, not names; and a step that nobody can do is flagged."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any
from unittest.mock import Mock

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, models, transaction
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone

from executions import guards, repairs, services
from executions.inbox import unassigned, waiting_for
from executions.models import Execution, PeopleChange, Status, Step, Vote
from executions.services.assigned_accounts import PeopleInUse
from executions.services.purging import Purged, purge
from tests.executions.people import approval, asking, client, member, on, rows
from tests.factories import (
    FindingTypeFactory,
    WorkflowFactory,
    accounts,
    drawn,
    form,
    line,
    user_in,
)
from tests.workflows.admin.forms import form_of
from tests.workflows.api.clients import assert_problem
from workflows import editing
from workflows.editing import change_entity_context
from workflows.graph import WorkflowValidationError
from workflows.models import AuditEntry, Candidate, Version
from workflows.models.account_names import fields_with_names

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("laws"), pytest.mark.both_databases]


def vote(execution: Execution, user: Any, *, approves: bool = True) -> Execution:
    return services.vote(execution, node="vote", approves=approves, by=user)


def voting(**data: Any) -> Execution:
    workflow = WorkflowFactory()
    editing.save_graph(workflow, approval(**data), based_on=1)
    return on(workflow)


def status(execution: Execution) -> str:
    return Execution.objects.values_list("status", flat=True).get(pk=execution.pk)


def flagged(execution: Execution) -> bool:
    """Whether the step is flagged, on every interface that shows it."""
    api = client(user_in("operator"))
    (step,) = api.get(f"executions/{execution.cuid}/").json()["open_steps"]
    listed = api.get("executions/", {"unassigned": "true"}).json()["results"]
    others = api.get("executions/", {"unassigned": "false"}).json()["results"]
    found = {
        step["unassigned"],
        execution.cuid in [row["cuid"] for row in listed],
        execution.cuid not in [row["cuid"] for row in others],
        unassigned().filter(execution=execution).exists(),
    }
    assert len(found) == 1
    return found == {True}


class TestNames:
    def test_members_of_a_renamed_group_keep_their_steps(self) -> None:
        ada = member("ada", "risk")
        execution, voted = asking(groups=["risk"]), voting(groups=["risk"])
        Group.objects.filter(name="risk").update(name="Risk & Compliance")
        Group.objects.create(name="risk").user_set.add(member("eve"))
        assert {step.execution_id for step in waiting_for(ada)} == {execution.pk, voted.pk}
        assert not waiting_for(User.objects.get(username="eve")).exists()
        (step,) = (
            client(user_in("viewer")).get(f"executions/{execution.cuid}/").json()["open_steps"]
        )
        assert step["assignees"] == {"groups": ["Risk & Compliance"], "users": []}
        assert services.submit(execution, data={"note": "n"}, by=ada).status == Status.COMPLETED
        assert vote(voted, ada).status == Status.COMPLETED

    def test_a_renamed_user_keeps_their_steps_and_a_namesake_inherits_none(self) -> None:
        ada = member("ada")
        execution = asking(users=["ada"])
        User.objects.filter(pk=ada.pk).update(username="ada.lee")
        namesake = member("ada")
        assert not waiting_for(namesake).exists()
        with pytest.raises(guards.NotAssigned):
            services.submit(execution, data={"note": "n"}, by=namesake)
        services.submit(execution, data={"note": "n"}, by=User.objects.get(pk=ada.pk))

    def test_a_later_version_keeps_the_account_of_a_renamed_group(self) -> None:
        group = Group.objects.create(name="risk")
        workflow = WorkflowFactory()
        drawn(workflow, form(assignees={"groups": ["risk"]}))
        group.name = "Risk & Compliance"
        group.save()
        drawn(workflow, form(assignees={"groups": ["risk"]}), form("more"))
        (row,) = rows(on(workflow))
        assert row.group_id == group.pk

    def test_a_change_of_type_keeps_the_accounts(self) -> None:
        group = Group.objects.create(name="risk")
        workflow = WorkflowFactory()
        drawn(workflow, form(assignees={"groups": ["risk"]}))
        Group.objects.filter(pk=group.pk).update(name="renamed")
        change_entity_context([workflow], entity_name_type=FindingTypeFactory())
        workflow.refresh_from_db()
        (row,) = rows(on(workflow))
        assert row.group_id == group.pk


class TestUnknownNames:
    def test_a_graph_is_refused_with_the_place_of_each(self) -> None:
        workflow = WorkflowFactory()
        accounts(users=["ada"])
        source = line(form(assignees={"groups": ["risk"], "users": ["ada", "eve"]}))
        with pytest.raises(WorkflowValidationError) as refused:
            editing.save_graph(workflow, source, based_on=1)
        assert [(row.pointer, row.code) for row in refused.value.problems] == [
            ("/nodes/1/data/assignees/groups/0", "unknown_group"),
            ("/nodes/1/data/assignees/users/1", "unknown_user"),
        ]
        with pytest.raises(WorkflowValidationError):
            editing.save_graph(workflow, approval(groups=["risk"]), based_on=1)

    @pytest.mark.parametrize("where", ["body", "query"])
    def test_the_api_saves_it_where_that_is_asked_for(self, where: str) -> None:
        workflow = WorkflowFactory()
        api = client(user_in("administrator"))
        path = f"workflows/{workflow.cuid}/1/"
        body: dict[str, Any] = line(form(assignees={"groups": ["risk"]}))
        assert_problem(api.post(path, body), 400, "unknown_group")
        if where == "body":
            body["allow_unknown"] = True
        else:
            path += "?allow_unknown=true"
        assert api.post(path, body).status_code == 200

    def test_the_step_is_flagged_until_somebody_has_the_name(self) -> None:
        workflow = WorkflowFactory()
        source = line(form(assignees={"groups": ["risk"], "users": ["eve"]}))
        editing.save_graph(workflow, source, based_on=1, allow_unknown=True)
        execution = on(workflow)
        assert flagged(execution)
        eve = member("eve")
        assert not flagged(execution)
        services.submit(execution, data={"note": "n"}, by=eve)

    def test_the_admin_saves_it_after_a_confirmation(self) -> None:
        workflow = WorkflowFactory()
        browser = Browser()
        browser.force_login(user_in("administrator", is_staff=True))
        url = reverse("admin:workflows_workflow_graph", args=[workflow.pk])
        source = line(form(assignees={"groups": ["risk"]}))
        sent = {"source": json.dumps(source), "based_on": "1", "notes": ""}
        shown = browser.post(url, sent)
        assert 'name="allow_unknown"' in shown.content.decode()
        assert browser.post(url, {**sent, "allow_unknown": "on"}).status_code == 302

    def test_a_deleted_group_is_unknown_in_the_next_version(self) -> None:
        group = Group.objects.create(name="risk")
        workflow = WorkflowFactory()
        drawn(workflow, form(assignees={"groups": ["risk"]}))
        group.delete()
        Group.objects.create(name="other")
        with pytest.raises(WorkflowValidationError):
            drawn(workflow, form(assignees={"groups": ["risk"]}), form("more"))


class TestUnassigned:
    @pytest.mark.parametrize(
        "leave",
        [
            lambda ada: User.objects.filter(pk=ada.pk).update(is_active=False),
            lambda ada: ada.groups.clear(),
            lambda ada: Group.objects.get(name="risk").user_set.remove(ada),
            lambda ada: ada.user_permissions.clear(),
        ],
        ids=["deactivated", "leaves the group", "removed from the group", "loses the permission"],
    )
    def test_a_step_is_flagged_when_the_last_one_leaves_and_not_before(self, leave: Any) -> None:
        ada, grace = member("ada", "risk"), member("grace", "risk")
        execution = asking(groups=["risk"])
        leave(grace)
        assert not flagged(execution)
        leave(ada)
        assert flagged(execution)
        member("new", "risk")
        assert not flagged(execution)

    def test_a_permission_of_a_group_counts(self) -> None:
        ada = member("ada", "risk", may_submit=False)
        execution = asking(groups=["risk"])
        assert flagged(execution)
        permission = Permission.objects.get(codename="submit_execution")
        ada.groups.get().permissions.add(permission)
        assert not flagged(execution)

    def test_an_approval_is_flagged_while_fewer_can_vote_than_it_needs(self) -> None:
        ada = member("ada", "board")
        member("bob", "board")
        execution = voting(groups=["board"], needed=2)
        assert not flagged(execution)
        User.objects.filter(pk=ada.pk).update(is_active=False)
        assert flagged(execution)
        member("eve")
        services.reassign(execution, users=["bob", "eve"], node="vote", why="Ada has left")
        assert not flagged(execution)

    def test_an_account_that_is_asked_twice_counts_once(self) -> None:
        member("ada", "board", "risk")
        asked_twice = voting(groups=["board"], users=["ada"], needed=2)
        in_two_groups = voting(groups=["board", "risk"], needed=2)
        assert flagged(asked_twice) and flagged(in_two_groups)
        member("bob", "board")
        assert not flagged(asked_twice) and not flagged(in_two_groups)

    def test_a_step_that_asks_everybody_is_not_flagged(self) -> None:
        workflow = WorkflowFactory()
        drawn(workflow, form())
        assert not flagged(on(workflow))

    def test_the_home_page_and_the_list_of_the_admin_show_it(self) -> None:
        execution = asking_nobody()
        browser = Browser()
        browser.force_login(user_in("operator", is_staff=True))
        assert f"/execution/{execution.pk}/change/#step-" in str(
            browser.get(reverse("admin:index")).content
        )
        listed = browser.get(
            reverse("admin:executions_execution_changelist"), {"unassigned": "yes"}
        )
        assert execution.cuid in listed.content.decode()
        page = browser.get(reverse("admin:executions_execution_change", args=[execution.pk]))
        assert "Unassigned" in page.content.decode()


def asking_nobody() -> Execution:
    accounts(groups=["empty"])
    return asking(groups=["empty"])


class TestDeletion:
    @pytest.mark.parametrize("how", ["instance", "queryset"])
    @pytest.mark.parametrize("who", ["group", "user"])
    def test_what_an_open_step_asks_is_not_deleted(self, who: str, how: str) -> None:
        ada = member("ada", "risk")
        execution = asking(groups=["risk"]) if who == "group" else asking(users=["ada"])
        row: Any = Group.objects.get(name="risk") if who == "group" else ada
        target = row if how == "instance" else type(row).objects.filter(pk=row.pk)
        with pytest.raises(PeopleInUse) as refused, transaction.atomic():
            target.delete()
        assert refused.value.code == "in_use"
        assert [one.cuid for one in refused.value.blockers.executions] == [execution.cuid]
        assert [one.code for one in refused.value.remedies] == ["reassign"]

    @pytest.mark.parametrize("who", ["group", "user"])
    @pytest.mark.parametrize("selected", [False, True])
    def test_the_admin_shows_what_refuses_a_deletion(self, who: str, selected: bool) -> None:
        ada = member("ada", "risk")
        execution = asking(groups=["risk"]) if who == "group" else asking(users=["ada"])
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
        assert execution.cuid in answer.content.decode()
        assert AuditEntry.objects.filter(refused=True, code="in_use").count() == 1

    @pytest.mark.parametrize("error", [PeopleInUse(), IntegrityError("foreign key")])
    @pytest.mark.parametrize("selected", [False, True])
    def test_the_admin_shows_what_refuses_a_deletion_after_it_was_judged(
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
        shown = [str(one) for one in browser.get(url).context["messages"]]
        assert len(shown) == 1 and "deleted successfully" not in shown[0]

    def test_a_group_is_deleted_where_others_remain(self) -> None:
        member("ada", "risk")
        member("grace", "audit")
        execution = asking(groups=["risk", "audit"])
        Group.objects.get(name="risk").delete()
        assert not flagged(execution)

    def test_two_groups_that_a_step_asks_are_not_deleted_together(self) -> None:
        member("ada", "risk")
        member("grace", "audit")
        asking(groups=["risk", "audit"])
        with pytest.raises(PeopleInUse), transaction.atomic():
            Group.objects.filter(name__in=["risk", "audit"]).delete()

    def test_the_last_member_of_a_group_that_is_asked_is_not_deleted(self) -> None:
        ada, grace = member("ada", "risk"), member("grace", "risk")
        asking(groups=["risk"])
        grace.delete()
        with pytest.raises(PeopleInUse), transaction.atomic():
            ada.delete()

    def test_a_group_that_only_ended_executions_asked_is_deleted(self) -> None:
        ada = member("ada", "risk")
        execution = asking(groups=["risk"])
        services.submit(execution, data={"note": "n"}, by=ada)
        Group.objects.get(name="risk").delete()
        (row,) = rows(execution)
        assert row.is_deleted and row.current_name == "risk"

    def test_a_namesake_of_a_deleted_group_is_not_asked(self) -> None:
        member("ada", "risk")
        workflow = WorkflowFactory()
        drawn(workflow, form(assignees={"groups": ["risk"]}))
        Group.objects.get(name="risk").delete()
        eve = member("eve", "risk")
        execution = on(workflow)
        assert flagged(execution) and not waiting_for(eve).exists()

    def test_the_audit_log_tells_what_went_along(self) -> None:
        member("ada", "risk")
        workflow = WorkflowFactory()
        version = drawn(workflow, form(assignees={"groups": ["risk"]}))
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


class TestNamesThatStay:
    def test_every_key_to_a_user_that_is_set_to_null_keeps_the_name(self) -> None:
        kept = set(fields_with_names()) | {(Vote, "user")}
        models_of = [
            m for app in ("workflows", "executions") for m in apps.get_app_config(app).get_models()
        ]
        for model in models_of:
            for field in model._meta.concrete_fields:
                if (
                    field.related_model is User
                    and field.remote_field.on_delete is models.SET_NULL
                    and model is not Candidate
                ):
                    assert (model, field.name) in kept, f"{model.__name__}.{field.name}"

    def test_history_names_a_deleted_account(self) -> None:
        ada, grace = member("ada"), member("grace")
        workflow = WorkflowFactory()
        editing.save_graph(workflow, approval(users=["grace", "ada"], needed=2), based_on=1, by=ada)
        finding = on(workflow).entity
        execution = services.start(workflow, finding, by=ada)
        vote(execution, grace)
        vote(execution, ada)
        for other in Execution.objects.exclude(pk=execution.pk):
            services.cancel(other)
        ada.delete()
        member("ada")
        api = client(user_in("administrator", is_staff=True))
        shown = api.get(f"executions/{execution.cuid}/").json()
        listed = api.get("executions/", {"entity": finding.cuid, "status": "completed"}).json()
        steps = api.get(f"executions/{execution.cuid}/steps/").json()["results"]
        assert shown["started_by"] == listed["results"][0]["started_by"] == "ada"
        assert [row["closed_by"] for row in steps if row["node"] == "vote"] == ["ada"]
        version = api.get(f"workflows/{workflow.cuid}/{execution.version.number}/").json()
        assert version["created_by"] == "ada"
        assert set(Vote.objects.values_list("username", "user__username")) == {
            ("grace", "grace"),
            ("ada", None),
        }
        csv = api.get(reverse("admin:executions_execution_csv"))
        assert b",ada" in b"".join(csv)
        page = api.get(reverse("admin:executions_execution_change", args=[execution.pk]))
        assert "by ada" in page.content.decode()


class TestVotes:
    def test_one_account_votes_once_whatever_its_name(self) -> None:
        ann = member("ann", "board")
        member("bob", "board")
        execution = voting(groups=["board"], needed=2)
        vote(execution, ann)
        ann.username = "ann.lee"
        ann.save()
        namesake = member("ann", "board")
        assert waiting_for(namesake).exists() and not waiting_for(ann).exists()
        assert vote(execution, ann).status == Status.WAITING
        assert Vote.objects.count() == 1
        assert vote(execution, namesake).status == Status.COMPLETED

    def test_a_namesake_of_a_deleted_voter_votes_anew(self) -> None:
        ann = member("ann", "board")
        member("bob", "board")
        execution = voting(groups=["board"], needed=2)
        vote(execution, ann)
        ann.delete()
        namesake = member("ann", "board")
        assert waiting_for(namesake).exists()
        assert vote(execution, namesake).status == Status.WAITING

    @pytest.mark.parametrize(
        "leave",
        [
            lambda who: User.objects.filter(pk=who.pk).update(is_active=False),
            lambda who: who.groups.clear(),
            lambda who: who.delete(),
            lambda who: who.user_permissions.clear(),
        ],
        ids=["deactivated", "leaves the group", "deleted", "loses the permission"],
    )
    def test_votes_are_counted_again_when_a_voter_leaves(self, leave: Any) -> None:
        ada, bob, eve = (member(name, "board") for name in ("ada", "bob", "eve"))
        every, two = voting(groups=["board"], needed="all"), voting(groups=["board"], needed=2)
        for who in (ada, bob):
            vote(every, who)
        vote(two, ada, approves=False)
        leave(eve)
        call_command("run_due", verbosity=0)
        assert (status(every), status(two)) == (Status.COMPLETED, Status.FAILED)
        assert not PeopleChange.objects.exists()

    def test_votes_are_counted_again_when_a_permission_is_taken(self) -> None:
        ada, chief = member("ada"), User.objects.create_superuser("chief")
        eve = member("eve", "clerks", may_submit=False)
        clerks = eve.groups.get()
        clerks.permissions.add(Permission.objects.get(codename="submit_execution"))
        execution = voting(users=["ada", "eve", "chief"], needed="all")
        vote(execution, ada)
        User.objects.filter(pk=chief.pk).update(is_superuser=False)
        assert services.count_votes_again() == 0
        clerks.permissions.clear()
        assert services.count_votes_again() == 1
        assert status(execution) == Status.COMPLETED

    def test_who_may_not_vote_is_not_waited_for(self) -> None:
        ada = member("ada", "board")
        member("observer", "board", may_submit=False)
        execution = voting(groups=["board"], needed="all")
        assert vote(execution, ada).status == Status.COMPLETED

    def test_nobody_approves_nothing_when_all_have_left(self) -> None:
        ada = member("ada", "board")
        execution = voting(groups=["board"], needed="all")
        eve = member("eve", "board")
        vote(execution, ada)
        User.objects.filter(pk__in=[ada.pk, eve.pk]).update(is_active=False)
        assert services.count_votes_again() == 0
        assert status(execution) == Status.WAITING and flagged(execution)

    def test_votes_are_not_read_where_nobody_has_changed(
        self, django_assert_num_queries: Any
    ) -> None:
        member("ada", "board")
        voting(groups=["board"], needed="all")
        services.count_votes_again()
        with django_assert_num_queries(1):
            services.count_votes_again()


class TestReassignment:
    def test_an_operator_replaces_whom_a_form_asks(self) -> None:
        execution = asking_nobody()
        grace = member("grace")
        other = asking(groups=["empty"])
        api = client(user_in("operator"))
        sent = {"node": "form", "users": ["grace"], "why": "nobody is left"}
        (step,) = api.post(f"executions/{execution.cuid}/reassign/", sent).json()["open_steps"]
        assert step["assignees"] == {"groups": [], "users": ["grace"]}
        assert not step["unassigned"] and flagged(other)
        entry = AuditEntry.objects.get(action="reassigned")
        assert (entry.before["groups"], entry.after["users"]) == (["empty"], ["grace"])
        assert entry.why == "nobody is left"
        assert [one.execution_id for one in waiting_for(grace)] == [execution.pk]
        services.submit(execution, data={"note": "n"}, by=grace)

    @pytest.mark.parametrize(
        ("sent", "code"),
        [
            ({"users": ["grace"]}, "required"),
            ({"users": ["grace"], "why": "  "}, "blank"),
            ({"why": "w"}, "not_reassignable"),
            ({"groups": ["nowhere"], "why": "w"}, "unknown_group"),
            ({"users": ["nobody"], "why": "w"}, "unknown_user"),
        ],
    )
    def test_a_reassignment_is_refused(self, sent: dict[str, Any], code: str) -> None:
        execution = asking_nobody()
        member("grace")
        answer = client(user_in("operator")).post(
            f"executions/{execution.cuid}/reassign/", {"node": "form", **sent}
        )
        assert answer.status_code in (400, 409) and answer.json()["code"] == code

    def test_only_operators_reassign(self) -> None:
        execution = asking_nobody()
        sent = {"node": "form", "users": ["ada"], "why": "w"}
        answer = client(member("ada")).post(f"executions/{execution.cuid}/reassign/", sent)
        assert answer.status_code == 403

    def test_votes_of_those_who_remain_stay_and_may_decide(self) -> None:
        ada, bob = member("ada", "board"), member("bob", "board")
        execution = voting(groups=["board"], needed="all")
        vote(execution, ada)
        services.reassign(execution, users=["ada", "bob"], node="vote", why="same")
        assert status(execution) == Status.WAITING and waiting_for(bob).exists()
        services.reassign(execution, users=["ada"], node="vote", why="Bob is away")
        assert status(execution) == Status.COMPLETED

    def test_a_form_that_asked_everybody_asks_only_those_who_are_named(self) -> None:
        workflow = WorkflowFactory()
        drawn(workflow, form())
        execution, grace, eve = on(workflow), member("grace"), member("eve")
        services.reassign(execution, users=["grace"], node="form", why="w")
        with pytest.raises(guards.NotAssigned):
            services.submit(execution, data={"note": "n"}, by=eve)
        services.submit(execution, data={"note": "n"}, by=grace)

    def test_a_group_is_deleted_after_its_step_is_reassigned(self) -> None:
        execution = asking_nobody()
        member("grace")
        services.reassign(execution, users=["grace"], node="form", why="w")
        Group.objects.get(name="empty").delete()
        with pytest.raises(PeopleInUse), transaction.atomic():
            User.objects.get(username="grace").delete()

    def test_the_admin_has_a_page_for_it(self) -> None:
        execution = asking_nobody()
        member("grace")
        browser = Browser()
        browser.force_login(user_in("operator", is_staff=True))
        step = execution.steps.open().get()
        url = reverse("admin:executions_execution_reassign", args=[execution.pk, step.cuid])
        own = reverse("admin:executions_execution_change", args=[execution.pk])
        assert f'href="{url}"' in browser.get(own).content.decode()
        assert "empty" in browser.get(url).content.decode()
        refused = browser.post(url, {"users": "nobody", "why": "w"}).content.decode()
        assert "No user is called" in refused
        assert browser.post(url, {"users": "grace", "why": ""}).status_code == 200
        assert browser.post(url, {"users": "grace", "why": "w"}).status_code == 302
        assert not flagged(execution)

    def test_a_page_opened_before_another_reassignment_shows_both(self) -> None:
        execution = asking_nobody()
        member("grace")
        member("ada")
        browser = Browser()
        browser.force_login(user_in("operator", is_staff=True))
        step = execution.steps.open().get()
        url = reverse("admin:executions_execution_reassign", args=[execution.pk, step.cuid])
        sent = {**form_of(browser.get(url), having="why"), "groups": [], "why": "ill"}
        services.reassign(execution, users=["ada"], why="away")
        stale = browser.post(url, {**sent, "users": "grace"})
        shown = stale.content.decode()
        assert "Somebody else has changed this" in shown
        assert "Users: now “ada”, yours “grace”." in shown
        again = form_of(stale, having="why")
        assert (again["users"], again["why"]) == ("grace", "ill")
        assert names_asked(execution) == {"ada"}
        assert browser.post(url, again).status_code == 302
        assert names_asked(execution) == {"grace"}

    def test_a_page_damaged_on_its_way_is_refused(self) -> None:
        execution = asking_nobody()
        member("grace")
        browser = Browser()
        browser.force_login(user_in("operator", is_staff=True))
        step = execution.steps.open().get()
        url = reverse("admin:executions_execution_reassign", args=[execution.pk, step.cuid])
        for read in ("[", "1", "{}", "[" * 100_000):
            answer = browser.post(url, {"users": "grace", "why": "w", "read": read})
            assert "damaged on its way" in answer.content.decode()


def names_asked(execution: Execution) -> set[str]:
    step = execution.steps.open().get()
    return {row.current_name for row in Candidate.objects.filter(key=step.assignees)}


def repaired() -> list[str]:
    from executions import integrity

    found = [row.law for row in integrity.violations()]
    repairs.repair()
    assert integrity.violations() == []
    return found


class TestDamage:
    def test_a_candidate_that_is_gone_is_found_and_made_again(self) -> None:
        ada = member("ada", "risk")
        execution = asking(groups=["risk"])
        Candidate.objects.all().delete()
        assert repaired() == ["L9"]
        services.submit(execution, data={"note": "n"}, by=ada)

    def test_a_candidate_too_many_is_found_and_taken_away(self) -> None:
        member("ada", "risk")
        execution = asking(groups=["risk"])
        (row,) = rows(execution)
        row.pk, row.name = None, "other"
        row.save()
        assert repaired() == ["L9"]
        assert len(rows(execution)) == 1

    def test_an_unknown_candidate_whose_account_exists_is_found_and_known(self) -> None:
        workflow = WorkflowFactory()
        source = line(form(assignees={"groups": ["risk"]}))
        editing.save_graph(workflow, source, based_on=1, allow_unknown=True)
        (group,) = Group.objects.bulk_create([Group(name="risk")])
        assert repaired() == ["L9"]
        (row,) = rows(on(workflow))
        assert row.group_id == group.pk

    def test_a_candidate_with_another_number_is_found_and_keeps_its_account(self) -> None:
        member("ada", "board")
        execution = voting(groups=["board"], needed=2)
        Group.objects.filter(name="board").update(name="committee")
        Candidate.objects.update(needed=1)
        assert not flagged(execution)
        assert repaired() == ["L9"]
        assert flagged(execution)
        (row,) = rows(execution, "vote")
        assert row.group == Group.objects.get(name="committee")

    @pytest.mark.parametrize("key", ["", '{"users":["eve"]}', '{"step":"c0"}'])
    def test_a_step_that_asks_others_asks_those_of_its_version_again(self, key: str) -> None:
        ada = member("ada", "risk")
        execution = asking(groups=["risk"])
        Step._base_manager.filter(type="user_action").update(assignees=key)
        assert repaired() == ["L8"]
        assert [step.execution_id for step in waiting_for(ada)] == [execution.pk]

    def test_a_reassigned_step_without_candidates_asks_those_of_its_version(self) -> None:
        ada = member("ada", "risk")
        member("grace")
        execution = asking(groups=["risk"])
        services.reassign(execution, users=["grace"], node="form", why="w")
        Candidate.objects.exclude(step="").delete()
        assert repaired() == ["L8"]
        assert waiting_for(ada).exists()


class TestMigration:
    def test_stored_versions_and_open_steps_get_their_accounts_and_names_again(self) -> None:
        ada = member("ada", "risk")
        execution = asking(groups=["risk"], users=["ada"])
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


def test_a_version_that_is_replaced_takes_its_candidates_with_it() -> None:
    accounts(groups=["risk"])
    workflow = WorkflowFactory()
    drawn(workflow, form(assignees={"groups": ["risk"]}))
    drawn(workflow, form())
    assert not Candidate.objects.exists() and Version.objects.count() == 1


@pytest.mark.parametrize("how", ["purged", "deleted"])
def test_candidates_of_a_reassigned_step_go_with_its_execution(how: str) -> None:
    execution = asking_nobody()
    grace = member("grace")
    services.reassign(execution, users=["grace"], node="form", why="w")
    services.submit(execution, data={"note": "n"}, by=grace)
    assert Candidate.objects.exclude(step="").exists()
    if how == "purged":
        list(purge(timezone.now(), done=Purged(), rest=0))
    else:
        Execution.objects.get(pk=execution.pk).delete()
    assert not Candidate.objects.exclude(step="").exists()
    assert len(rows(execution)) == 1


def test_an_import_takes_unknown_names_only_where_that_is_asked_for(tmp_path: Any) -> None:
    accounts(groups=["risk"])
    workflow = WorkflowFactory()
    drawn(workflow, form(assignees={"groups": ["risk"]}))
    file = tmp_path / "workflows.yaml"
    call_command("export_workflows", output=str(file))
    workflow.delete()
    Group.objects.get(name="risk").delete()
    with pytest.raises(CommandError, match="No group is called 'risk'"):
        call_command("import_workflows", str(file), apply=True)
    call_command("import_workflows", str(file), apply=True, allow_unknown=True)
    assert Candidate.objects.get().is_unknown
