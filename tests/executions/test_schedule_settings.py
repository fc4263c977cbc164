"""Settings of schedules, cron times when the clock changes, and previews of occurrences."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client as AdminClient
from django.test import override_settings

from executions import services
from executions.engine.recurrence import CronRecurrence
from executions.models import Schedule
from executions.worker import status
from tests.executions.test_schedules import (
    DAILY,
    YEARLY,
    Clock,
    create_scheduled,
    kind_fixture,  # noqa: F401  the fixtures that the tests ask for
    time_fixture,  # noqa: F401
)
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    UserFactory,
    WorkflowFactory,
)
from tests.workflows.api.clients import client_of
from workflows.db import clock
from workflows.guards import InvalidTrigger

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


@pytest.mark.parametrize(
    ("after", "times"),
    [
        # 02:30 does not exist on March 29, and exists twice on October 25.
        (datetime(2026, 3, 28, 12, tzinfo=UTC), ["03-29 01:00", "03-30 00:30"]),
        (datetime(2026, 10, 24, 12, tzinfo=UTC), ["10-25 00:30", "10-26 01:30"]),
        (datetime(2026, 10, 25, 1, 10, tzinfo=UTC), ["10-26 01:30", "10-27 01:30"]),
    ],
)
def test_cron_time_occurs_once_when_the_clock_changes(after: datetime, times: list[str]) -> None:
    with override_settings(TIME_ZONE="Europe/Vienna"):
        recurrence = CronRecurrence("30 2 * * *")
        found = list(islice(recurrence.after(after), 2))
        assert [f"{row:%m-%d %H:%M}" for row in found] == times
        assert recurrence.latest(after, found[1]) == found[1]
        assert recurrence.latest(found[0], found[1] - timedelta(seconds=1)) is None


INVALID: list[tuple[Any, str, str]] = [
    ({}, "", "A schedule needs 'cron', or 'every' with 'from_field'."),
    ({"cron": 5}, "/cron", "'cron' must be text such as \"0 9 1 */3 *\", not a number."),
    ({"cron": "0 9 * *"}, "/cron", "It needs five fields"),
    ({"cron": "0 9 30 2 *"}, "/cron", "The day of the month must exist in one of the months."),
    ({"cron": "61 9 * * *"}, "/cron", "The minute must be from 0 to 59."),
    ({"cron": "0 9 * * *", "every": "P1D"}, "/every", "'every' cannot be combined with 'cron'."),
    ({"every": "P1Y"}, "", "'from_field' is missing."),
    ({"from_field": "x"}, "", "'every' is missing."),
    ({"every": "often", "from_field": "x"}, "/every", "must be a duration"),
    ({"every": "-P1Y", "from_field": "x"}, "/every", "at least one minute"),
    ({"every": "P1Y", "from_field": " "}, "/from_field", "the name of a date field"),
    ({"cron": "0 9 * * *", "rule": {"field": "x"}}, "/rule", "The comparison needs a 'op'."),
    ({"cron": "0 9 * * *", "zone": "UTC"}, "/zone", "Unknown key 'zone'."),
]


@pytest.mark.parametrize(("data", "pointer", "detail"), INVALID)
def test_invalid_schedule_is_refused(data: Any, pointer: str, detail: str) -> None:
    with pytest.raises(InvalidTrigger) as caught:
        create_scheduled(FindingTypeFactory(), data)
    problem = caught.value.problems[0]
    assert problem.pointer == f"/trigger_data{pointer}" and detail in problem.detail


def test_api_lists_the_next_ten_occurrences(time: Clock, kind: Any) -> None:
    workflow = create_scheduled(kind, DAILY)
    FindingFactory(entity_name_type=kind)
    found = (
        client_of("workflows.view_workflow", "executions.view_finding")
        .get(f"workflows/{workflow.cuid}/occurrences/")
        .json()
    )
    assert (found["time_zone"], len(found["occurrences"])) == ("UTC", 10)
    assert found["occurrences"][0] == {"at": "2026-03-02T09:00:00Z", "entities": 1}


def test_preview_hides_entities_that_user_may_not_view(time: Clock, kind: Any) -> None:
    FindingFactory(entity_name_type=kind, fields={"validated_on": "2025-03-10"})
    client = client_of("workflows.view_workflow")
    daily, yearly = create_scheduled(kind, DAILY), create_scheduled(kind, YEARLY)
    found = client.get(f"workflows/{daily.cuid}/occurrences/").json()
    assert found["occurrences"][0]["entities"] is None
    found = client.get(f"workflows/{yearly.cuid}/occurrences/").json()
    assert found["occurrences"] == []
    assert found["warnings"] == ["You may not view the entities whose dates decide."]


def test_preview_of_date_field_counts_entities_for_which_rule_holds(time: Clock, kind: Any) -> None:
    rule = {"field": "severity", "op": "eq", "value": "high"}
    workflow = create_scheduled(kind, {**YEARLY, "rule": rule}, state="draft")
    for day, severity in (("2025-03-10", "high"), ("2025-03-10", "low"), ("2025-04-01", "low")):
        FindingFactory(entity_name_type=kind, fields={"validated_on": day, "severity": severity})
    preview = services.preview_schedule(workflow, number=2)
    assert preview is not None and preview.warnings == []
    assert [(f"{row.at:%Y-%m-%d}", row.entities) for row in preview.occurrences] == [
        ("2026-03-10", 1),
        ("2027-03-10", 1),
    ]


def test_admin_page_shows_occurrences_and_warns_of_unknown_field(time: Clock, kind: Any) -> None:
    workflow = create_scheduled(kind, DAILY)
    FindingFactory(entity_name_type=kind)
    admin = AdminClient()
    admin.force_login(UserFactory(is_staff=True, is_superuser=True))
    url = f"/admin/workflows/workflow/{workflow.pk}/change/"
    page = admin.get(url).content.decode()
    assert "At 09:00 every day, UTC" in page and "2026-03-02 09:00:00 UTC" in page
    form = {**admin.get(url).context["adminform"].form.initial}
    form = {name: "" if value is None else value for name, value in form.items()}
    form |= {"trigger_data": json.dumps({"every": "P1Y", "from_field": "audited"})}
    saved = admin.post(url, form, follow=True).content.decode()
    assert "No entity of this type has a value in “audited” yet." in saved


def test_command_lists_occurrences(time: Clock, kind: Any, capsys: Any) -> None:
    workflow = create_scheduled(kind, DAILY, title="Daily check")
    call_command("run_due", occurrences="Daily check")
    assert capsys.readouterr().out.splitlines()[0] == "2026-03-02 09:00:00 UTC: 0 entities"
    call_command("run_due", occurrences=workflow.cuid, json=True)
    assert len(json.loads(capsys.readouterr().out)["occurrences"]) == 10
    manual = WorkflowFactory(title="Manual")
    with pytest.raises(CommandError, match="has no schedule"):
        call_command("run_due", occurrences=manual.cuid)


def test_status_shows_lag_of_schedules(kind: Any) -> None:
    create_scheduled(kind, DAILY)
    Schedule.objects.update(due_at=clock.now() - timedelta(minutes=5))
    assert 290 <= status.read_status().lag_seconds < 400
