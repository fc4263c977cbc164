"""The banner on the admin's pages when background work is not done."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions.models import WorkerKind
from executions.worker import heartbeat, status
from tests.factories import UserFactory, user_in
from workflows.db import clock

pytestmark = pytest.mark.django_db

LIST = "/admin/workflows/recordtype/"


def test_pages_warn_about_missing_workers_and_late_work(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_login(UserFactory(is_superuser=True, is_staff=True))

    def read_page() -> str:
        cache.clear()
        return client.get(LIST).content.decode()

    since = timezone.now() - timedelta(minutes=3)
    monkeypatch.setattr(status, "oldest_due", lambda: since)
    page = read_page()
    assert "No worker has ever been seen. Start one: manage.py work" in page
    assert "Background work is late" not in page
    heartbeat.beat(WorkerKind.WORK)
    page = read_page()
    assert "No worker" not in page
    late = "the oldest has been due for 3\xa0minutes. Start more workers: manage.py work"
    assert f"Background work is late: {late}" in page


def test_pages_read_the_state_of_work_once_in_some_seconds(client: Client) -> None:
    client.force_login(UserFactory(is_superuser=True, is_staff=True))
    # The first page of a process reads more than the others.
    client.get(LIST)
    cache.clear()
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            client.get(LIST)
        counts.append(len(captured))
    assert counts[0] - counts[1] == len(status.QUEUES) + 1


def test_time_of_the_last_worker_does_not_move_while_the_state_is_shared(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_login(UserFactory(is_superuser=True, is_staff=True))
    cache.clear()
    last = timezone.now() - timedelta(minutes=3)
    monkeypatch.setattr(status, "seconds_since_last_beat", lambda: 180.0)
    pages = [client.get(LIST).content.decode()]
    monkeypatch.setattr(clock, "now", lambda: last + timedelta(minutes=3, seconds=9))
    pages.append(client.get(LIST).content.decode())
    said = [re.findall(r"No worker has been seen since (.*?)\. Start", page) for page in pages]
    assert said[0] == said[1] and len(said[0]) == 1


@pytest.mark.parametrize(("role", "is_warned"), [("viewer", False), ("operator", True)])
def test_pages_warn_only_users_who_may_operate_executions(
    client: Client, role: str, is_warned: bool
) -> None:
    client.force_login(user_in(role, is_staff=True))
    cache.clear()
    assert ("No worker" in client.get("/admin/").content.decode()) == is_warned
