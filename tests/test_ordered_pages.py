"""Pages by cursor equal the whole list, for every ordering and type of key."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from django.db import models
from django.db.models import Case, Value, When
from django.utils import timezone

from executions import services as running
from tests.conftest import Scenario
from tests.executions.receivers import create_webhook
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    InventoryModelFactory,
    WorkflowFactory,
)
from tests.workflows.api.clients import Client, assert_problem, client_of
from workflows.models import FindingType
from workflows_project.api import cursors
from workflows_project.api_urls import router

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
NOON = datetime(2026, 2, 28, 12, 0, 0, 123456, tzinfo=UTC)
TYPES: dict[str, tuple[models.Field[Any, Any], list[Any]]] = {
    "float": (models.FloatField(), [0.1, 1e300, -2.5, 1 / 3, 3.0, 0.1, None]),
    "whole number": (models.BigIntegerField(), [2**62, -1, 0, 7, 7, None]),
    "decimal": (
        models.DecimalField(max_digits=12, decimal_places=2),
        [Decimal("10.50"), Decimal("-3.25"), Decimal("0.00"), Decimal("10.50"), None],
    ),
    "truth": (models.BooleanField(), [True, False, True, False, None]),
    "text": (models.TextField(), ["b", "", "Ä", "a'b", "b", None]),
    "date": (models.DateField(), [date(2026, 2, 28), date(1, 1, 2), date(9999, 12, 30), None]),
    "moment": (models.DateTimeField(), [NOON, NOON + DAY, NOON, NOON - DAY, None]),
    "time": (models.TimeField(), [time(12), time(0, 0, 1), time(23, 59, 59), None]),
    "duration": (models.DurationField(), [DAY, -DAY, timedelta(seconds=1.5), DAY, None]),
    "uuid": (models.UUIDField(), [UUID(int=9), UUID(int=2**127), UUID(int=9), None]),
}


def annotate_key(name: str) -> Any:
    """Return finding types annotated with values of a type as ``key``."""
    field, values = TYPES[name]
    rows = [FindingTypeFactory() for _ in values]
    cases = [
        When(pk=row.pk, then=Value(value, field))
        for row, value in zip(rows, values, strict=True)
        if value is not None
    ]
    return FindingType.objects.annotate(key=Case(*cases, default=None, output_field=field))


def read_pages(rows: Any, size: int, *, backwards: bool) -> list[int]:
    """Return the ids of all rows page by page; each cursor is written and read."""
    keys = cursors.ordering_keys(rows)
    cursor, found = None, []
    if backwards:
        # Starting after the last row.
        last = cursors.read_numbered(rows, keys, 0, 100)[-1]
        cursor = cursors.Cursor([getattr(last, key.name) for key in keys], is_before=True)
        found = [last.pk]
    while True:
        page = cursors.read_page(rows, keys, size, cursor)
        ids = [row.pk for row in page.rows]
        found = ids + found if backwards else found + ids
        following = page.before if backwards else page.after
        if following is None:
            return found
        cursor = cursors.Cursor.read(following.text(keys), keys)


@pytest.mark.both_databases
@pytest.mark.parametrize("order", ["key", "-key"])
@pytest.mark.parametrize("name", TYPES)
def test_pages_cover_the_list_for_every_type_of_key(name: str, order: str) -> None:
    rows = annotate_key(name).order_by(order)
    whole = [row.pk for row in cursors.read_numbered(rows, cursors.ordering_keys(rows), 0, 100)]
    known = {row.pk: row.key for row in rows}
    values = [known[pk] for pk in whole]
    there = [value for value in values if value is not None]
    if name != "text":
        # A database sorts text by its collation.
        assert there == sorted(there, reverse=order.startswith("-"))
    assert values == [*there, None]
    for size in (1, 2, 3):
        assert read_pages(rows, size, backwards=False) == whole
        assert read_pages(rows, size, backwards=True) == whole
        by_number = [
            row.pk
            for start in range(0, len(whole), size)
            for row in cursors.read_numbered(rows, cursors.ordering_keys(rows), start, start + size)
        ]
        assert by_number == whole


FORGED: dict[str, list[Any]] = {
    "float": ["1.5", "x", [1.5], {}, 10**400],
    "whole number": [1.5, "7", 2**63, -(2**70), "x", [7]],
    "decimal": [10.5, "1E+999999", "x", "10.5000000000000000000000000001"],
    "truth": ["True", "x", 2, [True]],
    "text": [3, 1.5, True, ["b"], "a\0", "\ud800"],
    "date": ["2026-2-28", "2026-02-30", "today", 20260228],
    "moment": ["2026-02-28T12:00:00", "2026-02-28", "0001-01-01T00:00:00+14:00", 5],
    "time": ["25:00:00", "noon", 12],
    "duration": ["1 day", "P1Y", 86400, "P999999999999D"],
    "uuid": ["x", 9, "00000000000000000000000000000009"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, one) for name in FORGED for one in FORGED[name]]
)
def test_cursor_with_a_mistyped_value_is_rejected(name: str, value: Any) -> None:
    field, values = TYPES[name]
    rows = FindingType.objects.annotate(key=Value(values[0], field)).order_by("key")
    keys = cursors.ordering_keys(rows)
    content = json.dumps([[str(key) for key in keys], False, [value, 1]])
    text = base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")
    with pytest.raises(cursors.InvalidCursor):
        cursors.Cursor.read(text, keys)


# Every list of the API in each of its orders


@pytest.fixture
def rows_with_equal_keys(
    scenario: Scenario, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Add rows to each list, some with equal keys."""
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    settings.HTTP_REQUEST_HOSTS = ["hooks.example"]
    for index in range(5):
        moment = NOON + DAY * (index % 2)
        monkeypatch.setattr(timezone, "now", lambda at=moment: at)
        FindingFactory(title="Same", entity_name_type=scenario.limitation)
        InventoryModelFactory()
        WorkflowFactory(title="Same")
        create_webhook("https://hooks.example/")
        execution = scenario.start()
        if index < 3:
            running.cancel(execution)
    scenario.hold()
    monkeypatch.undo()


ORDERS = [
    (f"{prefix}/", name)
    for prefix, view, _ in router.registry
    for name in getattr(view, "ordering_fields", None) or ()
]


def follow_pages(get: Callable[[str], Any], path: str, direction: str) -> tuple[list[str], str]:
    """Return the ids of all pages in a direction, and the URL of the last page."""
    found: list[str] = []
    while True:
        body = get(path).json()
        page = [str(row.get("id") or row["cuid"]) for row in body["results"]]
        found = found + page if direction == "next" else page + found
        if body[direction] is None:
            return found, path
        parts = urlsplit(body[direction])
        path = f"{parts.path}?{parts.query}"


@pytest.mark.both_databases
@pytest.mark.slow
@pytest.mark.usefixtures("rows_with_equal_keys")
def test_cursors_and_page_numbers_return_the_same_list() -> None:
    get = partial(Client.get, client_of(superuser=True))
    # One test for all orders, because the rows take longer than their lists.
    for path in (f"{route}?ordering={sign}{name}" for route, name in ORDERS for sign in ("", "-")):
        whole, _ = follow_pages(get, f"{path}&page_size=500", "next")
        onwards, last = follow_pages(get, f"{path}&page_size=2", "next")
        back, _ = follow_pages(get, last, "previous")
        by_number, _ = follow_pages(get, f"{path}&page_size=2&page=1", "next")
        assert onwards == back == by_number == whole, path
        assert len(whole) == len(set(whole)), path


def test_forged_cursor_of_a_list_is_a_bad_request(rows_with_equal_keys: None) -> None:
    api = client_of(superuser=True)
    for values in ([1.5, 1], ["2026-02-28T12:00:00+00:00", 1.5], [[], 1], [None], "x", 3, None):
        content = json.dumps([["started_at", "pk"], False, values])
        cursor = base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")
        response = api.get(f"executions/?ordering=started_at&cursor={cursor}")
        assert_problem(response, 400, "invalid_cursor")
