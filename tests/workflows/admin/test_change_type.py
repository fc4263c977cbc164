"""Type changes on the form of a workflow: locked, refused and applied."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse

from executions import services as running
from executions.models import Execution
from tests.conftest import Scenario
from tests.factories import FindingTypeFactory, RecordTypeFactory, WorkflowFactory
from tests.workflows.admin.staff import (
    DEPENDENT,
    OWN,
    TOGETHER,
    VIEW,
    list_messages,
    page,
    settings_of,
    staff,
    text,
    type_of,
)
from workflows import guards
from workflows.db import locks
from workflows.guards.database_errors import DatabaseRefusal
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


def at_field(response: Any, name: str = "entity_name_type") -> str:
    """Return the errors of a field as HTML."""
    return " ".join(str(response.context["adminform"].form.errors[name]).split())


class TestWorkflowForm:
    @pytest.mark.parametrize(("who", "message"), [("caller", OWN), ("callee", DEPENDENT)])
    def test_type_change_is_refused_at_field_with_links(
        self, admin_client: Client, scenario: Scenario, who: str, message: str
    ) -> None:
        execution = scenario.start()
        workflow = getattr(scenario, who)
        sent = settings_of(workflow, entity_name_type=scenario.exception.pk, title="Typed")
        response = admin_client.post(page(workflow), sent)
        assert response.status_code == 200
        html = at_field(response)
        assert message in html
        assert f'href="{page(execution)}"' in html
        assert "Finish or cancel 1 live execution first." in html
        assert 'value="Typed"' in text(response)
        assert f'value="{scenario.exception.pk}" selected' in text(response)
        assert type_of(workflow) == scenario.limitation
        running.submit(execution, node="form", data={"note": "done"})
        execution.refresh_from_db()
        assert execution.status == "completed"

    def test_type_change_of_one_workflow_links_group_change(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        sent = settings_of(scenario.caller, entity_name_type=scenario.exception.pk)
        html = at_field(admin_client.post(page(scenario.caller), sent))
        assert "Run Workflow: Incompatible entity name types." in html
        assert scenario.exception.cuid in html
        assert f'href="{page(scenario.callee)}"' in html
        group = f"{reverse(TOGETHER)}?workflows="
        assert group in html

    def test_type_change_creates_version(self, admin_client: Client) -> None:
        workflow, other = WorkflowFactory(), FindingTypeFactory()
        before = workflow.versions.get()
        response = admin_client.post(
            page(workflow), settings_of(workflow, entity_name_type=other.pk)
        )
        assert response.status_code == 302
        assert type_of(workflow) == other
        version = workflow.versions.get()
        assert (version.number, version.entity_name_type) == (1, other)
        assert version.pk != before.pk

    def test_new_workflow_gets_version_1(self, admin_client: Client) -> None:
        kind = FindingTypeFactory()
        sent = settings_of(Workflow(title="New", entity_name_type=kind))
        response = admin_client.post(reverse("admin:workflows_workflow_add"), sent)
        assert response.status_code == 302
        assert Workflow.objects.get(title="New").versions.get().number == 1

    def test_wrong_type_for_entity_name_is_refused_at_field(self, admin_client: Client) -> None:
        sent = settings_of(Workflow(title="New"), primary_record_type=RecordTypeFactory().pk)
        response = admin_client.post(reverse("admin:workflows_workflow_add"), sent)
        assert "A Finding needs a finding type and no record type." in at_field(response)
        assert "is violated" not in text(response)

    @pytest.mark.parametrize(
        ("typed", "answer"),
        [
            ("[]", "Enter a JSON object, not a list."),
            ('{"a": "\\u0000"}', "NUL character"),
            ('{"a": NaN}', "NaN is not a JSON number"),
            ("{", "Enter a valid JSON."),
            ("[" * 100_000, "nested too deeply"),
            ("1" * 5_000, "This is not valid JSON"),
        ],
    )
    def test_unstorable_trigger_data_is_refused(
        self, admin_client: Client, typed: str, answer: str
    ) -> None:
        workflow = WorkflowFactory()
        response = admin_client.post(page(workflow), settings_of(workflow, trigger_data=typed))
        assert answer in at_field(response, "trigger_data")


class TestTypeNotice:
    @pytest.mark.parametrize(("who", "message"), [("caller", OWN), ("callee", DEPENDENT)])
    def test_workflow_page_shows_type_lock(
        self, admin_client: Client, scenario: Scenario, who: str, message: str
    ) -> None:
        execution = scenario.start()
        response = admin_client.get(page(getattr(scenario, who)))
        html = text(response)
        assert message in html
        assert f'href="{page(execution)}"' in html
        form = response.context["adminform"].form
        locked = ("entity_name", "entity_name_type", "primary_record_type")
        assert all(form.fields[name].disabled for name in locked)
        assert not form.fields["title"].disabled

    def test_other_settings_are_saved_while_type_is_locked(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        scenario.start()
        sent = settings_of(scenario.caller, title="Other title")
        for name in ("entity_name", "entity_name_type", "primary_record_type"):
            # Browsers do not submit disabled inputs.
            del sent[name]
        assert admin_client.post(page(scenario.caller), sent).status_code == 302
        scenario.caller.refresh_from_db()
        assert scenario.caller.title == "Other title"
        assert scenario.caller.entity_name_type == scenario.limitation

    def test_type_field_is_enabled_when_only_calls_block(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        response = admin_client.get(page(scenario.caller))
        assert "These workflows must change together" in text(response)
        assert f'href="{page(scenario.callee)}"' in text(response)
        assert not response.context["adminform"].form.fields["entity_name_type"].disabled

    def test_workflow_page_has_no_notice_when_nothing_blocks(self, admin_client: Client) -> None:
        html = text(admin_client.get(page(WorkflowFactory())))
        assert "type-notice" not in html

    def test_viewer_sees_type_notice(self, scenario: Scenario) -> None:
        scenario.start()
        assert OWN in text(staff(*VIEW).get(page(scenario.caller)))


class TestRefusalAfterValidForm:
    """Refusals between validation and save become form errors, not a 500 response."""

    def test_guard_refusal_at_save_becomes_form_error(
        self, admin_client: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        execution = scenario.start()
        monkeypatch.setattr(Workflow, "clean", lambda _: None)
        sent = settings_of(scenario.caller, entity_name_type=scenario.exception.pk, title="Typed")
        response = admin_client.post(page(scenario.caller), sent)
        assert response.status_code == 200
        assert OWN in at_field(response)
        assert page(execution) in at_field(response)
        assert 'value="Typed"' in text(response)
        assert list_messages(response) == []
        scenario.caller.refresh_from_db()
        assert scenario.caller.title != "Typed"

    @pytest.mark.django_db(transaction=True)
    def test_database_key_refusal_becomes_form_error(
        self, admin_client: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scenario.start()
        monkeypatch.setattr(guards, "refuse_context_change", lambda *_, **__: None)
        sent = settings_of(scenario.caller, entity_name_type=scenario.exception.pk)
        response = admin_client.post(page(scenario.caller), sent)
        assert response.status_code == 200
        [refusal] = [
            error
            for errors in response.context["adminform"].form.errors.as_data().values()
            for error in errors
        ]
        assert isinstance(refusal, (guards.ActiveExecutions, DatabaseRefusal))
        assert str(refusal.message) in text(response)
        assert list_messages(response) == []
        assert type_of(scenario.caller) == scenario.limitation

    def test_contention_becomes_form_error(
        self, admin_client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        workflow = WorkflowFactory()

        def save(self: Workflow, **kwargs: Any) -> None:
            raise locks.Contention

        monkeypatch.setattr(Workflow, "save", save)
        response = admin_client.post(page(workflow), settings_of(workflow, title="Typed"))
        assert response.status_code == 200
        assert "Try again in a moment" in text(response)
        assert 'value="Typed"' in text(response)

    def test_database_fault_is_raised(
        self, admin_client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        workflow = WorkflowFactory()

        def save(self: Workflow, **kwargs: Any) -> None:
            raise IntegrityError("something else")

        monkeypatch.setattr(Workflow, "save", save)
        with pytest.raises(IntegrityError):
            admin_client.post(page(workflow), settings_of(workflow, title="Typed"))


def test_ended_execution_does_not_lock_type(admin_client: Client, scenario: Scenario) -> None:
    execution: Execution = scenario.start()
    running.cancel(execution)
    assert OWN not in text(admin_client.get(page(scenario.caller)))
