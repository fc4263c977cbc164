"""The names of candidate groups and users: renamed, unknown and deleted accounts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db import models
from django.test import Client as Browser
from django.urls import reverse

from executions import guards, services
from executions.models import Execution, Status, Step, Vote
from executions.task_queries import waiting_for
from tests.executions.assignees import (
    approval_graph,
    candidates_of,
    create_member,
    is_flagged,
    log_in,
    start,
    start_approval,
    start_with_assignees,
    vote,
)
from tests.factories import (
    FindingTypeFactory,
    WorkflowFactory,
    accounts,
    form,
    line,
    save_line,
    user_in,
)
from tests.workflows.api.clients import assert_problem
from workflows import editing
from workflows.editing import change_entity_context
from workflows.graph import WorkflowValidationError
from workflows.models import Candidate
from workflows.models.account_names import find_account_fields

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("invariants"),
    pytest.mark.both_databases,
]


class TestNames:
    def test_group_keeps_its_steps_when_renamed(self) -> None:
        ada = create_member("ada", "risk")
        execution, voted = start_with_assignees(groups=["risk"]), start_approval(groups=["risk"])
        Group.objects.filter(name="risk").update(name="Risk & Compliance")
        Group.objects.create(name="risk").user_set.add(create_member("eve"))
        assert {step.execution_id for step in waiting_for(ada)} == {execution.pk, voted.pk}
        assert not waiting_for(User.objects.get(username="eve")).exists()
        (step,) = (
            log_in(user_in("viewer")).get(f"executions/{execution.cuid}/").json()["open_steps"]
        )
        assert step["assignees"] == {"groups": ["Risk & Compliance"], "users": []}
        assert services.submit(execution, data={"note": "n"}, by=ada).status == Status.COMPLETED
        assert vote(voted, ada).status == Status.COMPLETED

    def test_user_keeps_their_steps_when_renamed_and_namesake_gets_none(self) -> None:
        ada = create_member("ada")
        execution = start_with_assignees(users=["ada"])
        User.objects.filter(pk=ada.pk).update(username="ada.lee")
        namesake = create_member("ada")
        assert not waiting_for(namesake).exists()
        with pytest.raises(guards.NotAssigned):
            services.submit(execution, data={"note": "n"}, by=namesake)
        services.submit(execution, data={"note": "n"}, by=User.objects.get(pk=ada.pk))

    def test_new_version_keeps_group_under_its_old_name(self) -> None:
        group = Group.objects.create(name="risk")
        workflow = WorkflowFactory()
        save_line(workflow, form(assignees={"groups": ["risk"]}))
        group.name = "Risk & Compliance"
        group.save()
        save_line(workflow, form(assignees={"groups": ["risk"]}), form("more"))
        (row,) = candidates_of(start(workflow))
        assert row.group_id == group.pk

    def test_context_change_keeps_candidates(self) -> None:
        group = Group.objects.create(name="risk")
        workflow = WorkflowFactory()
        save_line(workflow, form(assignees={"groups": ["risk"]}))
        Group.objects.filter(pk=group.pk).update(name="renamed")
        change_entity_context([workflow], entity_name_type=FindingTypeFactory())
        workflow.refresh_from_db()
        (row,) = candidates_of(start(workflow))
        assert row.group_id == group.pk


class TestUnknownNames:
    def test_save_graph_names_pointer_of_each_unknown_name(self) -> None:
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
            editing.save_graph(workflow, approval_graph(groups=["risk"]), based_on=1)

    @pytest.mark.parametrize("where", ["body", "query"])
    def test_api_saves_unknown_names_with_allow_unknown(self, where: str) -> None:
        workflow = WorkflowFactory()
        api = log_in(user_in("administrator"))
        path = f"workflows/{workflow.cuid}/1/"
        body: dict[str, Any] = line(form(assignees={"groups": ["risk"]}))
        assert_problem(api.post(path, body), 400, "unknown_group")
        if where == "body":
            body["allow_unknown"] = True
        else:
            path += "?allow_unknown=true"
        assert api.post(path, body).status_code == 200

    def test_step_is_unassigned_until_account_with_the_name_exists(self) -> None:
        workflow = WorkflowFactory()
        source = line(form(assignees={"groups": ["risk"], "users": ["eve"]}))
        editing.save_graph(workflow, source, based_on=1, allow_unknown=True)
        execution = start(workflow)
        assert is_flagged(execution)
        eve = create_member("eve")
        assert not is_flagged(execution)
        services.submit(execution, data={"note": "n"}, by=eve)

    def test_admin_saves_unknown_names_after_confirmation(self) -> None:
        workflow = WorkflowFactory()
        browser = Browser()
        browser.force_login(user_in("administrator", is_staff=True))
        url = reverse("admin:workflows_workflow_graph", args=[workflow.pk])
        source = line(form(assignees={"groups": ["risk"]}))
        sent = {"source": json.dumps(source), "based_on": "1", "notes": ""}
        page = browser.post(url, sent)
        assert 'name="allow_unknown"' in page.content.decode()
        assert browser.post(url, {**sent, "allow_unknown": "on"}).status_code == 302

    def test_deleted_group_is_unknown_in_next_version(self) -> None:
        group = Group.objects.create(name="risk")
        workflow = WorkflowFactory()
        save_line(workflow, form(assignees={"groups": ["risk"]}))
        group.delete()
        Group.objects.create(name="other")
        with pytest.raises(WorkflowValidationError):
            save_line(workflow, form(assignees={"groups": ["risk"]}), form("more"))


class TestStoredNames:
    def test_each_nullable_user_key_has_a_stored_name(self) -> None:
        # The claim of a deleted account ends. The audit log has its name.
        named = {*find_account_fields(), (Vote, "user"), (Step, "claimed_by")}
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
                    assert (model, field.name) in named, f"{model.__name__}.{field.name}"

    def test_history_names_deleted_account(self) -> None:
        ada, grace = create_member("ada"), create_member("grace")
        workflow = WorkflowFactory()
        editing.save_graph(
            workflow, approval_graph(users=["grace", "ada"], needed=2), based_on=1, by=ada
        )
        finding = start(workflow).entity
        execution = services.start(workflow, finding, by=ada)
        vote(execution, grace)
        vote(execution, ada)
        for other in Execution.objects.exclude(pk=execution.pk):
            services.cancel(other)
        ada.delete()
        create_member("ada")
        api = log_in(user_in("administrator", is_staff=True))
        page = api.get(f"executions/{execution.cuid}/").json()
        listed = api.get("executions/", {"entity": finding.cuid, "status": "completed"}).json()
        steps = api.get(f"executions/{execution.cuid}/steps/").json()["results"]
        assert page["started_by"] == listed["results"][0]["started_by"] == "ada"
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
        assert ", ada" in page.content.decode()


def test_import_accepts_unknown_names_only_with_allow_unknown(tmp_path: Any) -> None:
    accounts(groups=["risk"])
    workflow = WorkflowFactory()
    save_line(workflow, form(assignees={"groups": ["risk"]}))
    file = tmp_path / "workflows.yaml"
    call_command("export_workflows", output=str(file))
    workflow.delete()
    Group.objects.get(name="risk").delete()
    with pytest.raises(CommandError, match="There is no group named 'risk'"):
        call_command("import_workflows", str(file), apply=True)
    call_command("import_workflows", str(file), apply=True, allow_unknown=True)
    assert Candidate.objects.get().is_unknown
