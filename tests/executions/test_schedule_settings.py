"""Settings of schedules, and cron times when the clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import pytest
from django.test import override_settings

from executions.engine.recurrence import CronRecurrence
from tests.executions.test_schedules import create_scheduled
from tests.factories import (
    FindingTypeFactory,
)
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
