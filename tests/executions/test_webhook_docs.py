"""The receiver that ``docs/reference/webhooks.md`` shows verifies what is posted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project

from executions.models import EVENTS, TEST
from executions.webhooks import subscriptions
from executions.webhooks.outgoing import MOST_GIVEN_UP, WAITS
from executions.worker import queue
from tests.executions.listening import listening

TEXT = (Path(project.BASE_DIR) / "docs" / "reference" / "webhooks.md").read_text()


@pytest.mark.django_db
def test_the_receiver_that_is_shown_verifies(settings: Any) -> None:
    code = re.findall(r"```python\n(import.*?)```", TEXT, re.S)[0]
    shown: dict[str, Any] = {}
    exec(code, shown)
    with listening(settings) as listener:
        new = subscriptions.rotate_secret(listener.subscription)
        subscriptions.tell_test(listener.subscription)
        queue.serve_due()
        request = listener.server.received[0]
    for secret in (listener.secret, new):
        assert shown["verify"](secret, request.headers, request.body)["type"] == TEST
    request.body += b" "
    with pytest.raises(ValueError, match="not signed"):
        shown["verify"](new, request.headers, request.body)


def test_every_event_and_the_schedule_are_told() -> None:
    told = re.findall(r"^\| `(\w+\.\w+)` \|", TEXT, re.M)
    assert told == [*EVENTS, TEST]
    row = re.findall(r"^\| it waits \| (.*) \|$", TEXT, re.M)[0].split(" | ")
    units = {"s": 1, "min": 60, "h": 3600}
    seconds = [int(number) * units[unit] for number, unit in map(str.split, row)]
    assert seconds == [wait.total_seconds() for wait in WAITS]
    assert len(WAITS) == 8 and MOST_GIVEN_UP == 5, "the sentences below the table say so"
