"""Cursors: only those that a list has returned are accepted."""

from __future__ import annotations

import base64
import random

import pytest

from tests.factories import FindingFactory
from tests.workflows.api.clients import Client, assert_problem, client_of

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


@pytest.fixture
def api() -> Client:
    return client_of(superuser=True)


@pytest.fixture
def cursors(api: Client) -> list[str]:
    """Return cursors of the list of findings, forwards and backwards, in two orders."""
    for number in range(5):
        FindingFactory(title=f"t{number}")
    found = []
    for ordering in ("title", "-created_at"):
        body = api.get("findings/", {"page_size": 2, "ordering": ordering}).json()
        found.append(extract_cursor(body["next"]))
        found.append(extract_cursor(api.get(body["next"]).json()["previous"]))
    return found


def test_forged_cursor_is_rejected(api: Client, cursors: list[str]) -> None:
    generator = random.Random(1)
    alphabet = "abcXYZ019-_.=+/ é\0"
    for cursor in cursors:
        text, _, signature = cursor.partition(".")
        content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        forged = [
            *(cursor[:end] for end in range(0, len(cursor), 9)),
            text,
            f"{text}.",
            f".{signature}",
            f"{signature}.{text}",
            cursor[::-1],
            cursor * 2,
            *(f"{encode_cursor(content.replace(*change))}.{signature}" for change in CHANGES),
            *(encode_cursor(content.replace(*change)) for change in CHANGES),
        ]
        for _ in range(15):
            place = generator.randrange(len(cursor))
            letter = generator.choice(alphabet)
            if cursor[place] != letter:
                forged.append(cursor[:place] + letter + cursor[place + 1 :])
        for one in set(forged) - {cursor}:
            for ordering in ("title", "-created_at"):
                response = api.get("findings/", {"cursor": one, "ordering": ordering})
                assert_problem(response, 400, "invalid_cursor")


def test_cursor_of_another_list_or_order_is_rejected(api: Client, cursors: list[str]) -> None:
    by_title, _, by_time, _ = cursors
    cases: list[tuple[str, dict[str, str]]] = [
        ("findings/", {"cursor": by_title, "ordering": "-title"}),
        ("findings/", {"cursor": by_title, "ordering": "-created_at"}),
        ("findings/", {"cursor": by_time, "ordering": "created_at"}),
        ("inventory-models/", {"cursor": by_title, "ordering": "title"}),
        ("workflows/", {"cursor": by_title, "ordering": "title"}),
        ("node-types/", {"cursor": by_title}),
        ("tokens/", {"cursor": by_time}),
        ("findings/", {"cursor": by_time, "format": "csv"}),
    ]
    for path, query in cases:
        assert_problem(api.get(path, query), 400, "invalid_cursor")


def test_cursor_and_page_exclude_each_other(api: Client, cursors: list[str]) -> None:
    response = api.get("findings/", {"cursor": cursors[0], "ordering": "title", "page": "1"})
    assert_problem(response, 400, "invalid")


def extract_cursor(address: str) -> str:
    return address.partition("cursor=")[2].partition("&")[0]


def encode_cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


CHANGES = [
    ("t1", "t3"),
    ('"t1"', "1e400"),
    ('"t1"', "null"),
    ('"t1"', '{"a": 1}'),
    ("false", "true"),
    ("2026", "0001"),
    ("2026", "9999"),
    ("2026-", ""),
    (", ", ","),
]
