"""``manage.py quickstart``: the report's scenario, played."""

from __future__ import annotations

import json
import socket
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command, load_command_class

from executions import demo, services
from executions.models import Execution, Finding
from tests.commands import run
from tests.factories import FindingFactory, FindingTypeFactory, WorkflowFactory
from workflows.models import FindingType, Workflow

pytestmark = pytest.mark.django_db

OWN = "Cannot change finding type while this workflow has active executions."
DEPENDENT = "Cannot change finding type: workflows referencing this one have active executions."


def quickstart(**options: Any) -> str:
    return run("quickstart", no_serve=True, **options)


@pytest.mark.django_db(transaction=True)
def test_quickstart_plays_two_refusals_and_the_end_in_real_transactions() -> None:
    told = quickstart(password="a-password")
    assert told.index(OWN) < told.index(DEPENDENT) < told.index("is completed")
    root = Execution.objects.get(parent=None)
    assert root.status == "completed"
    assert root.children.get().status == "completed"
    assert root.entity.fields == {
        "comment": "Reviewed by the quickstart.",
        "severity": "medium",
        "assessed": True,
    }
    user = authenticate(username="operator", password="a-password")
    assert user is not None
    assert user.is_superuser


def test_a_password_is_made_up_and_printed_once() -> None:
    story = json.loads(quickstart(json=True))["story"]
    [account] = [event for event in story if event["event"] == "account"]
    assert authenticate(username="operator", password=account["password"]) is not None
    again = json.loads(quickstart(json=True))["story"]
    assert "password" not in next(event for event in again if event["event"] == "account")
    assert authenticate(username="operator", password=account["password"]) is not None


def test_json_tells_the_refusals_with_their_blockers() -> None:
    story = json.loads(quickstart(json=True))["story"]
    refused = [event for event in story if event["event"] == "refused"]
    assert [event["code"] for event in refused] == [
        "active_executions",
        "dependent_active_executions",
    ]
    assert [event["detail"] for event in refused] == [OWN, DEPENDENT]
    cuid = Execution.objects.get(parent=None).cuid
    assert [row["cuid"] for row in refused[0]["blockers"]["executions"]] == [cuid]


def test_run_twice_it_does_no_harm() -> None:
    quickstart()
    before = {
        model: list(model._base_manager.order_by("pk").values_list("pk", flat=True))
        for model in (FindingType, Workflow, Finding, get_user_model())
    }
    quickstart()
    for model, ids in before.items():
        assert list(model._base_manager.order_by("pk").values_list("pk", flat=True)) == ids
    assert Execution.objects.filter(parent=None, status="completed").count() == 2


def test_what_an_interrupted_run_left_waiting_is_taken_up() -> None:
    scenario, _ = demo.make()
    left = services.start(scenario.caller, scenario.finding)
    quickstart()
    left.refresh_from_db()
    assert left.status == "completed"
    assert Execution.objects.filter(parent=None).count() == 1


@pytest.mark.parametrize("factory", [WorkflowFactory, FindingFactory, FindingTypeFactory])
def test_a_database_with_other_data_is_refused_unless_told_to(factory: Any) -> None:
    factory()
    with pytest.raises(CommandError, match="other data"):
        quickstart()
    assert not Execution.objects.exists()
    assert not get_user_model().objects.exists()
    assert OWN in quickstart(force=True)


def test_a_dry_run_changes_nothing() -> None:
    assert "Would" in quickstart(dry_run=True)
    assert not Workflow.objects.exists()


def test_a_port_that_is_taken_is_named_before_anything_is_done() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"Port {port} cannot be served on"):
            call_command("quickstart", port=port, stdout=StringIO())
    assert not Workflow.objects.exists()


def test_demo_data_that_was_changed_is_named() -> None:
    scenario, _ = demo.make()
    scenario.caller.state = "retired"
    scenario.caller.save()
    with pytest.raises(CommandError, match=r"demo data as it is now.*retired"):
        quickstart()


def test_its_help_has_examples() -> None:
    help_text = load_command_class("executions", "quickstart").create_parser(
        "manage.py", "quickstart"
    )
    assert "manage.py quickstart --no-serve" in help_text.format_help()
