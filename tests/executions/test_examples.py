"""The example workflows: the command and the page that load them, and an execution of each."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from executions import services
from executions.models import Execution, Finding, InventoryModel
from tests.commands import main
from tests.factories import FindingTypeFactory, UserFactory, WorkflowFactory, user_in
from tests.workflows.admin.staff import list_messages, page, statements, text
from workflows.files.examples import EXAMPLES, NAMES, load_examples
from workflows.models import AuditEntry, FindingType, RecordType, Version, Workflow

PAGE = reverse("admin:workflows_workflow_examples")
MAIN = {example.name: example.cuids[0] for example in EXAMPLES}


@pytest.fixture
def people(db: None) -> dict[str, Any]:
    """The users that the examples ask, one in each group."""
    return {role: user_in(role, is_staff=True) for role in ("participant", "administrator")}


# A command ends with closing the connection, and with it the transaction of a test.
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("people")
class TestCommand:
    def test_load_examples_creates_workflows_and_types_once(self) -> None:
        code, out, _err = main("load_examples")
        assert code == 0 and out.endswith("Loaded.\n")
        assert (Workflow.objects.count(), FindingType.objects.count()) == (6, 1)
        assert RecordType.objects.count() == 1
        # An edited example is left as it is.
        Workflow.objects.filter(cuid=MAIN["escalation"]).update(title="Ours")
        code, out, _err = main("load_examples", "--json")
        assert (code, json.loads(out)["created"]) == (0, [])
        assert Workflow.objects.get(cuid=MAIN["escalation"]).title == "Ours"
        assert Version.objects.count() == 6

    def test_load_examples_creates_the_chosen_ones_with_their_callees(self) -> None:
        assert main("load_examples", "for-each")[0] == 0
        assert set(Workflow.objects.values_list("title", flat=True)) == {
            "Example: review for each area",
            "Example: review of one area",
        }
        assert not RecordType.objects.exists()

    def test_load_examples_dry_run_creates_nothing(self) -> None:
        code, out, _err = main("load_examples", "validation", "--dry-run", "--json")
        assert (code, Workflow.objects.count()) == (0, 0)
        title = "Example: validation with approvals"
        found = {
            "dry_run": True,
            "examples": ["validation"],
            "created": [{"cuid": MAIN["validation"], "title": title}],
        }
        assert json.loads(out) == found

    def test_load_examples_refuses_a_title_in_use(self) -> None:
        WorkflowFactory(title="Example: escalation")
        code, out, err = main("load_examples", "--json")
        assert code == 1
        assert "Another workflow has the title “Example: escalation”. Rename it first." in err
        assert json.loads(out)["clash"]
        assert Workflow.objects.count() == 1
        assert main("load_examples", "validation")[0] == 0

    def test_load_examples_refuses_the_name_of_another_type(self) -> None:
        FindingTypeFactory(name="EXAMPLE finding")
        code, _out, err = main("load_examples", "validation")
        assert (code, Workflow.objects.count()) == (1, 0)
        assert "Another type has the name “Example finding”. Rename it first." in err
        assert main("load_examples", "attestation")[0] == 0

    def test_load_examples_refuses_unknown_names_and_groups(self) -> None:
        code, _out, err = main("load_examples", "no-such")
        assert code == 2 and "Choose from validation, exception" in err
        Group.objects.get(name="participant").delete()
        code, out, err = main("load_examples", "--json")
        assert (code, Workflow.objects.count()) == (1, 0)
        assert "participant" in out and json.loads(out)["refused"]["code"] == "unknown_group"
        assert "Nothing was loaded." in err

    def test_load_examples_names_the_user(self, people: dict[str, Any]) -> None:
        assert main("load_examples", "validation", "--by", people["administrator"].username)[0] == 0
        row = Workflow.objects.get()
        entries = AuditEntry.objects.filter(cuid=row.cuid)
        assert {entry.user_id for entry in entries} == {people["administrator"].pk}


@pytest.mark.django_db
class TestPage:
    def test_page_loads_examples_and_offers_them_once(
        self, admin_client: Client, people: dict[str, Any]
    ) -> None:
        assert f'href="{PAGE}"' in text(
            admin_client.get(reverse("admin:workflows_workflow_changelist"))
        )
        assert "Load all 5 examples" in text(admin_client.get(PAGE))
        response = admin_client.post(PAGE, {"name": ["validation", "no-such"]})
        assert response["Location"] == PAGE
        row = Workflow.objects.get()
        html = text(admin_client.get(PAGE))
        assert f'href="{page(row)}"' in html and 'value="validation"' not in html
        assert "Load all 4 examples" in html
        (message,) = list_messages(admin_client.post(PAGE, {"name": "validation"}))
        assert message == "These examples were loaded before. Nothing was changed."

    def test_page_explains_a_title_in_use(
        self, admin_client: Client, people: dict[str, Any]
    ) -> None:
        WorkflowFactory(title="Example: escalation")
        html = text(admin_client.get(PAGE))
        assert "Another workflow has the title “Example: escalation”. Rename it first." in html
        assert 'value="escalation"' not in html
        (message,) = list_messages(admin_client.post(PAGE, {"name": NAMES}))
        assert message.startswith("Nothing was loaded. Another workflow has the title")
        assert Workflow.objects.count() == 1

    def test_page_shows_the_refusal_of_an_unknown_group(self, admin_client: Client) -> None:
        Group.objects.filter(name="participant").delete()
        (message,) = list_messages(admin_client.post(PAGE, {"name": "validation"}))
        assert "participant" in message
        assert not Workflow.objects.exists()

    def test_page_takes_few_statements(self, admin_client: Client) -> None:
        # The session, the account, the work banner, and five for the examples.
        assert statements(lambda: admin_client.get(PAGE)) <= 20


def start(name: str, entity: Any, by: Any) -> Execution:
    load_examples([name])
    workflow = Workflow.objects.get(cuid=MAIN[name])
    return services.start(workflow, entity, by=by)


def finding() -> Finding:
    load_examples(["validation"])
    kind = FindingType.objects.get()
    made: Finding = Finding.objects.create(title="F", entity_name_type=kind)
    return made


def current(execution: Execution) -> list[str]:
    return list(execution.steps.open().values_list("node_id", flat=True))


@pytest.mark.django_db
class TestExecutions:
    """An execution of each example reaches its end."""

    def test_validation_returns_for_rework_and_excludes_its_author(
        self, people: dict[str, Any]
    ) -> None:
        author, lead = people["participant"], people["administrator"]
        reviewer = user_in("participant")
        execution = start("validation", finding(), author)
        answers = {"severity": "high", "assessment": "A"}
        for approves in (False, True):
            services.submit(execution, node="assess", data=answers, by=author)
            services.vote(execution, node="review", approves=approves, by=reviewer)
        assert current(execution) == ["approve"]
        services.vote(execution, node="approve", approves=True, by=lead)
        execution.refresh_from_db()
        assert (execution.status, execution.stage) == ("completed", "Validated")
        assert Finding.objects.get().fields["validated_on"]

    def test_exception_waits_for_its_date_and_is_closed(self, people: dict[str, Any]) -> None:
        execution = start("exception", finding(), people["participant"])
        expires = timezone.localdate() + timedelta(days=100)
        services.submit(
            execution,
            node="request",
            data={"reason": "R", "expires_on": expires.isoformat()},
            by=people["participant"],
        )
        services.vote(execution, node="grant", approves=True, by=people["administrator"])
        wait = execution.steps.open().get()
        assert (wait.node_id, wait.due_at.date()) == ("until", expires - timedelta(days=14))
        services.wake(execution, node="until", by=people["administrator"])
        services.submit(execution, node="decide", data={}, action="close", by=UserFactory())
        execution.refresh_from_db()
        assert (execution.status, execution.stage) == ("completed", "Closed")

    def test_attestation_corrects_the_record_and_writes_the_date(
        self, people: dict[str, Any]
    ) -> None:
        load_examples(["attestation"])
        kind = RecordType.objects.get()
        model = InventoryModel.objects.create(title="M", primary_record_type=kind)
        by = people["participant"]
        execution = start("attestation", model, by)
        services.submit(execution, node="attest", data={"is_accurate": "no"}, by=by)
        services.submit(execution, node="correct", data={"correction": "C"}, by=by)
        services.submit(execution, node="attest", data={"is_accurate": "yes"}, by=by)
        execution.refresh_from_db()
        model.refresh_from_db()
        assert execution.status == "completed" and model.fields["attested_on"]

    def test_escalation_leaves_by_its_timeout_to_administrators(
        self, people: dict[str, Any]
    ) -> None:
        by = people["participant"]
        execution = start("escalation", finding(), by)
        services.submit(execution, node="answer", data={"answer": "A"}, by=by)
        services.skip(execution, node="plan", handle="timeout", why="W", by=people["administrator"])
        services.submit(
            execution, node="decide", data={"decision": "D"}, by=people["administrator"]
        )
        execution.refresh_from_db()
        assert execution.status == "completed"

    def test_for_each_reviews_every_chosen_area(self, people: dict[str, Any]) -> None:
        by = people["participant"]
        execution = start("for-each", finding(), by)
        services.submit(execution, node="choose", data={"areas": ["data", "results"]}, by=by)
        children = list(execution.children.order_by("item"))
        assert [child.variables["area"] for child in children] == ["data", "results"]
        for child in children:
            services.submit(child, node="review", data={"opinion": "satisfactory"}, by=by)
        services.submit(execution, node="conclude", data={"conclusion": "C"}, by=by)
        execution.refresh_from_db()
        assert execution.status == "completed"
        assert [row["opinion"] for row in execution.variables["opinions"]] == ["satisfactory"] * 2
