"""``manage.py quickstart`` plays its scenario and leaves an execution waiting."""

from __future__ import annotations

import json
import socket
import threading
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command, load_command_class
from django.test import Client

from executions import demo, services
from executions.models import Execution, Finding
from tests.commands import run
from tests.factories import FindingFactory, FindingTypeFactory, WorkflowFactory
from workflows.models import FindingType, Workflow
from workflows_project.auth.roles import find_differences, reset_groups

pytestmark = pytest.mark.django_db

OWN = "Cannot change finding type while this workflow has active executions."
DEPENDENT = "Cannot change finding type: workflows referencing this one have active executions."


@pytest.fixture(autouse=True)
def _development(settings: Any) -> None:
    settings.DEBUG = True


@pytest.fixture(autouse=True)
def _roles(db: None) -> None:
    """Create the groups of the roles, which a test that commits may have deleted."""
    reset_groups(find_differences())


def quickstart(**options: Any) -> str:
    return run("quickstart", no_serve=True, **options)


@pytest.mark.django_db(transaction=True)
def test_quickstart_plays_two_refusals_and_completes_the_execution() -> None:
    output = quickstart(password="a-password")
    assert output.index(OWN) < output.index(DEPENDENT) < output.index("is completed")
    root = Execution.objects.get(parent=None, status="completed")
    assert root.children.get().status == "completed"
    assert root.entity.fields == {
        "comment": "Reviewed by the quickstart.",
        "severity": "medium",
        "assessed": True,
    }
    user = authenticate(username="operator", password="a-password")
    assert user is not None
    assert user.is_superuser


def test_quickstart_leaves_an_execution_waiting_that_operator_can_submit(client: Client) -> None:
    quickstart(password="a-password")
    waiting = Execution.objects.live().get()
    assert (waiting.status, waiting.entity.title) == ("waiting", demo.WAITING_FINDING)
    client.force_login(get_user_model().objects.get(username="operator"))
    mine = client.get("/api/v1/executions/mine/").json()["results"]
    assert [execution["cuid"] for execution in mine] == [waiting.cuid]


def test_quickstart_creates_an_account_for_each_role() -> None:
    quickstart(password="a-password")
    for role in demo.ROLES:
        user = authenticate(username=role, password="a-password")
        assert user is not None and user.is_staff
        assert list(user.groups.values_list("name", flat=True)) == [role]


def test_quickstart_leaves_accounts_that_exist_alone() -> None:
    get_user_model().objects.create_user("viewer", password="mine")
    quickstart(password="a-password")
    user = authenticate(username="viewer", password="mine")
    assert user is not None and not user.is_staff and not user.groups.exists()


def test_quickstart_generates_a_password_and_prints_it_once() -> None:
    story = json.loads(quickstart(json=True))["story"]
    account = next(event for event in story if event["event"] == "account")
    assert authenticate(username="operator", password=account["password"]) is not None
    assert authenticate(username="viewer", password=account["password"]) is not None
    again = json.loads(quickstart(json=True))["story"]
    assert not [event for event in again if "password" in event]
    assert authenticate(username="operator", password=account["password"]) is not None


def test_json_has_the_refusals_with_their_blockers() -> None:
    story = json.loads(quickstart(json=True))["story"]
    refused = [event for event in story if event["event"] == "refused"]
    assert [event["code"] for event in refused] == [
        "active_executions",
        "dependent_active_executions",
    ]
    assert [event["detail"] for event in refused] == [OWN, DEPENDENT]
    cuid = Execution.objects.get(parent=None, status="completed").cuid
    assert [row["cuid"] for row in refused[0]["blockers"]["executions"]] == [cuid]


def test_quickstart_changes_nothing_when_it_runs_again() -> None:
    quickstart()
    models: tuple[Any, ...] = (FindingType, Workflow, Finding, Execution, get_user_model())
    before = {
        model: list(model._base_manager.order_by("pk").values_list("pk", flat=True))
        for model in models
    }
    assert "nothing is repeated" in quickstart()
    for model, ids in before.items():
        assert list(model._base_manager.order_by("pk").values_list("pk", flat=True)) == ids


def test_quickstart_starts_another_execution_when_the_waiting_one_has_ended() -> None:
    quickstart()
    waiting = Execution.objects.live().get()
    services.cancel(waiting)
    quickstart()
    assert Execution.objects.live().get().pk != waiting.pk


def test_quickstart_says_why_no_execution_waits_when_the_workflow_is_retired() -> None:
    quickstart()
    services.cancel(Execution.objects.live().get())
    caller = Workflow.objects.get(title=demo.CALLER)
    caller.state = "retired"
    caller.save()
    assert "No execution was started" in quickstart()


def test_quickstart_completes_an_execution_that_an_interrupted_run_left() -> None:
    scenario, _ = demo.make()
    left = services.start(scenario.caller, scenario.finding)
    quickstart()
    left.refresh_from_db()
    assert left.status == "completed"
    assert Execution.objects.filter(parent=None).count() == 2


@pytest.mark.parametrize("factory", [WorkflowFactory, FindingFactory, FindingTypeFactory])
def test_quickstart_refuses_other_data_without_force(factory: Any) -> None:
    factory()
    with pytest.raises(CommandError, match="other data"):
        quickstart()
    assert not Execution.objects.exists()
    assert not get_user_model().objects.exists()
    assert OWN in quickstart(force=True)


def test_quickstart_runs_again_beside_data_that_was_added_to_the_demo() -> None:
    quickstart()
    WorkflowFactory()
    assert "nothing is repeated" in quickstart()


def test_dry_run_changes_nothing() -> None:
    assert "Would" in quickstart(dry_run=True)
    assert not Workflow.objects.exists()


def test_quickstart_names_a_port_in_use_before_it_changes_anything() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"Port {port} is not available"):
            call_command("quickstart", port=port, stdout=StringIO())
    assert not Workflow.objects.exists()


def test_quickstart_says_why_changed_demo_data_cannot_be_played() -> None:
    scenario, _ = demo.make()
    scenario.caller.state = "retired"
    scenario.caller.save()
    with pytest.raises(CommandError, match=r"demo data as it is now.*retired"):
        quickstart()


def test_help_has_examples() -> None:
    help_text = load_command_class("executions", "quickstart").create_parser(
        "manage.py", "quickstart"
    )
    assert "manage.py quickstart --no-serve" in help_text.format_help()


def test_quickstart_is_refused_outside_development(settings: Any) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="Set DEBUG=1"):
        run("quickstart", no_serve=True)
    assert not FindingType.objects.exists()


def test_quickstart_runs_a_worker_while_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    class Recorder:
        def __init__(self, **options: Any) -> None:
            self.stopped = threading.Event()

        def run(self) -> None:
            events.append("working")
            assert self.stopped.wait(10)
            events.append("stopped")

    def serve(name: str, *args: Any, **options: Any) -> None:
        if name == "runserver":
            events.append("serving")
        else:
            call_command(name, *args, **options)

    module = "executions.management.commands.quickstart"
    monkeypatch.setattr(f"{module}.Worker", Recorder)
    monkeypatch.setattr(f"{module}.call_command", serve)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run("quickstart", port=port)
    assert events == ["working", "serving", "stopped"]
