"""The code and the tables of ``docs/reference/webhooks.md`` agree with the program."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project

from executions.models import EVENTS, TEST
from executions.webhooks import incoming, subscriptions
from executions.webhooks.outgoing import MAX_GIVEN_UP, RETRY_DELAYS
from executions.worker import queue
from tests.executions.receivers import run_receiver

PAGE = (Path(project.BASE_DIR) / "docs" / "reference" / "webhooks.md").read_text()


def function(name: str) -> Any:
    """Return the function that an example of the page defines."""
    (code,) = (
        block
        for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        if f"def {name}(" in block
    )
    names: dict[str, Any] = {}
    exec(code, names)
    return names[name]


@pytest.mark.django_db
def test_documented_receiver_verifies_a_delivery(settings: Any) -> None:
    verify = function("verify")
    with run_receiver(settings) as receiver:
        new = subscriptions.rotate_secret(receiver.subscription)
        subscriptions.send_test_event(receiver.subscription)
        queue.serve_due()
        request = receiver.server.received[0]
    for secret in (receiver.secret, new):
        assert verify(secret, request.headers, request.body)["type"] == TEST
    request.body += b" "
    with pytest.raises(ValueError, match="not signed"):
        verify(new, request.headers, request.body)


def test_documented_sender_signs_like_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.5)
    headers = function("sign")("s3cret", "cuid", b"{}")
    assert headers["X-Holdfast-Timestamp"] == "1700000000"
    expected = incoming.signature("s3cret", "cuid", "1700000000", b"{}")
    assert headers["X-Holdfast-Signature"] == expected


def test_page_lists_events_and_retry_schedule() -> None:
    assert re.findall(r"^\| `(\w+\.\w+)` \|", PAGE, re.MULTILINE) == [*EVENTS, TEST]
    row = re.findall(r"^\| delay \| (.*) \|$", PAGE, re.MULTILINE)[0].split(" | ")
    units = {"s": 1, "min": 60, "h": 3600}
    seconds = [int(number) * units[unit] for number, unit in map(str.split, row)]
    assert seconds == [wait.total_seconds() for wait in RETRY_DELAYS]
    assert len(RETRY_DELAYS) == 8 and MAX_GIVEN_UP == 5, "The sentences below the table name them."
