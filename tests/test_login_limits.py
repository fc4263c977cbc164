"""Failed logins: counted by account and address, locked, unlocked, logged and recorded."""

from __future__ import annotations

import base64
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.core.management import CommandError
from django.db import connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext

from tests.commands import run
from tests.factories import UserFactory, user_in
from tests.workflows.api.clients import Client, assert_problem
from workflows.models import AuditEntry
from workflows_project.auth import login_limits
from workflows_project.models import FailedLogins

pytestmark = pytest.mark.django_db
PASSWORD = "a password that nobody guesses"


class Clock:
    """The time of the database, which tests move on."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def wait(self, **time: float) -> None:
        self.at += timedelta(**time)


@pytest.fixture(autouse=True)
def _limits(settings: Any) -> None:
    settings.LOGIN_FAILURES_PER_ACCOUNT = 3
    settings.LOGIN_FAILURES_PER_ADDRESS = 5
    settings.LOGIN_LOCK_SECONDS = 600
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("workflows.db.clock.now", made.now)
    return made


@pytest.fixture
def anna(clock: Clock) -> Any:
    user = UserFactory(username="anna", is_staff=True)
    user.set_password(PASSWORD)
    user.save()
    return user


def request_token(name: str, password: str = "wrong", address: str = "192.0.2.1") -> Any:
    given = base64.b64encode(f"{name}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {given}"}
    return Client().post("tokens/", {}, headers=headers, REMOTE_ADDR=address)


def log_in(name: str, password: str = "wrong", address: str = "192.0.2.1") -> Any:
    form = {"username": name, "password": password}
    return Browser().post("/admin/login/", form, REMOTE_ADDR=address)


def test_account_is_locked_after_failures(anna: Any, clock: Clock) -> None:
    for number in range(3):
        response = request_token("anna", address=f"192.0.2.{number}")
        assert_problem(response, 401, "authentication_failed")
    response = request_token("anna", PASSWORD, address="192.0.2.9")
    body = assert_problem(response, 429, "login_locked")
    assert response["Retry-After"] == "600"
    assert body["detail"] == (
        "Too many failed logins with this name. Try again at 2026-03-01 12:10:00 UTC."
    )
    clock.wait(seconds=590)
    assert request_token("anna", PASSWORD)["Retry-After"] == "10"
    clock.wait(seconds=10)
    assert request_token("anna", PASSWORD).status_code == 201
    assert not FailedLogins.objects.filter(name="anna").exists()


def test_admin_says_when_to_try_again(anna: Any, clock: Clock) -> None:
    for _ in range(3):
        assert "correct username and password" in log_in("anna").content.decode()
    page = log_in("anna", PASSWORD).content.decode()
    assert "Too many failed logins with this name. Try again at 2026-03-01 12:10:00 UTC." in page
    clock.wait(minutes=10)
    assert log_in("anna", PASSWORD).status_code == 302


def test_admin_and_api_count_together(anna: Any) -> None:
    log_in("anna")
    request_token("anna")
    log_in("ANNA")
    assert_problem(request_token("anna", PASSWORD), 429, "login_locked")


def test_address_is_locked_after_failures_of_any_account(anna: Any) -> None:
    for number in range(5):
        request_token(f"nobody{number}")
    body = assert_problem(request_token("anna", PASSWORD), 429, "login_locked")
    assert body["detail"].startswith("Too many failed logins from your address.")
    assert request_token("anna", PASSWORD, address="192.0.2.2").status_code == 201


def test_unknown_account_is_locked_like_a_known_one(clock: Clock) -> None:
    for _ in range(3):
        request_token("nobody")
    assert_problem(request_token("nobody"), 429, "login_locked")


def test_success_forgets_failures_of_account_but_not_of_address(anna: Any) -> None:
    request_token("anna")
    assert request_token("anna", PASSWORD).status_code == 201
    assert list(FailedLogins.objects.values_list("scope", "name")) == [("address", "192.0.2.1")]


def test_old_failures_are_forgotten(anna: Any, clock: Clock) -> None:
    request_token("anna")
    clock.wait(minutes=6)
    request_token("anna")
    clock.wait(minutes=6)
    request_token("anna")
    assert FailedLogins.objects.get(name="anna").failures == 1
    clock.wait(minutes=11)
    request_token("other", address="192.0.2.2")
    assert not FailedLogins.objects.filter(name="anna").exists()


def test_refused_logins_do_not_prolong_lock(anna: Any, clock: Clock) -> None:
    for _ in range(3):
        request_token("anna")
    clock.wait(minutes=5)
    assert request_token("anna")["Retry-After"] == "300"


def test_sessions_and_tokens_work_while_account_is_locked(anna: Any) -> None:
    token = request_token("anna", PASSWORD).json()["token"]
    for _ in range(3):
        request_token("anna")
    client = Client(headers={"Authorization": f"Token {token}"})
    assert client.get("tokens/", REMOTE_ADDR="192.0.2.1").status_code == 200


def test_limit_of_zero_locks_nothing(settings: Any, anna: Any) -> None:
    settings.LOGIN_FAILURES_PER_ACCOUNT = settings.LOGIN_FAILURES_PER_ADDRESS = 0
    for _ in range(9):
        assert request_token("anna").status_code == 401
    assert not FailedLogins.objects.exists()
    assert AuditEntry.objects.filter(action="login_failed").count() == 9


def test_client_behind_proxy_cannot_choose_its_address(anna: Any, settings: Any) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    given = base64.b64encode(b"nobody:wrong").decode()
    for number in range(5):
        headers = {
            "Authorization": f"Basic {given}",
            "X-Forwarded-For": f"203.0.113.{number}, 198.51.100.7",
        }
        Client().post("tokens/", {}, headers=headers, REMOTE_ADDR="10.0.0.1")
    assert set(FailedLogins.objects.values_list("name", flat=True)) == {"nobody", "198.51.100.7"}


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
        ("not an address", ""),
    ],
)
def test_address_is_counted_by_network(address: str, key: str) -> None:
    assert login_limits.address_key(address) == key


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "name",
    ["n" * 5000, "a\x00b", "\ud800", "ß", "“’--"],
    # A worker of pytest-xdist cannot report a surrogate.
    ids=["long", "NUL", "surrogate", "sharp s", "punctuation"],
)
def test_odd_names_are_counted(clock: Clock, name: str) -> None:
    for _ in range(3):
        login_limits.count_failure(name, None)
    with pytest.raises(login_limits.LoginLocked):
        login_limits.refuse_locked(None, name)


def test_odd_characters_of_names_are_not_logged(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    login_limits.count_failure("anna\nINFO forged \ud800", None)
    assert [row.getMessage() for row in caplog.records] == ["Login failed: anna�INFO forged �"]


def test_failed_login_is_logged_in_one_line(anna: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "holdfast.logins"):
        request_token("anna")
    (line,) = [row for row in caplog.records if row.name == "holdfast.logins"]
    assert line.getMessage() == "Login failed: anna"
    assert line.fields == {"account": "anna", "address": "192.0.2.1"}  # type: ignore[attr-defined]


def test_failures_and_locks_are_in_the_audit_log(anna: Any) -> None:
    for _ in range(3):
        request_token("anna")
    request_token("anna")
    entries = AuditEntry.objects.filter(kind="failed logins").order_by("id")
    assert [row.action for row in entries] == ["login_failed"] * 3 + ["locked"]
    assert {row.title for row in entries} == {"anna"} and {row.face for row in entries} == {"api"}
    assert entries[0].after == {"address": "192.0.2.1", "failures": 1}
    assert entries[3].after["failures"] == 3


def test_administrator_unlocks_in_the_admin(anna: Any) -> None:
    for _ in range(3):
        request_token("anna")
    row = FailedLogins.objects.get(name="anna")
    browser = Browser()
    browser.force_login(user_in("administrator", is_staff=True, username="boss"))
    url = "/admin/holdfast/failedlogins/"
    page = browser.get(url, {"locked": "1"}).content.decode()
    assert "anna" in page and "192.0.2.1" not in page
    form = {"action": "unlock", "_selected_action": [row.pk]}
    response = browser.post(url, form, follow=True)
    assert "1 was unlocked." in response.content.decode()
    entry = AuditEntry.objects.latest("id")
    assert (entry.action, entry.title, entry.who) == ("unlocked", "anna", "boss")
    assert request_token("anna", PASSWORD).status_code == 201


def test_deletion_of_a_count_is_recorded(anna: Any) -> None:
    request_token("anna")
    row = FailedLogins.objects.get(name="anna")
    browser = Browser()
    browser.force_login(user_in("administrator", is_staff=True))
    browser.post(f"/admin/holdfast/failedlogins/{row.pk}/delete/", {"post": "yes"})
    assert AuditEntry.objects.latest("id").action == "unlocked"


def test_pages_of_failed_logins_cannot_be_edited(rf: Any) -> None:
    options = admin.site._registry[FailedLogins]
    assert not options.has_add_permission(rf.get("/"))
    assert not options.has_change_permission(rf.get("/"))


def test_unlock_login_lists_and_unlocks(anna: Any) -> None:
    assert run("unlock_login") == "Nothing is locked.\n"
    for _ in range(3):
        request_token("anna", address="2001:db8::1")
    assert run("unlock_login") == "account anna: locked until 2026-03-01 12:10:00 UTC.\n"
    assert run("unlock_login", "anna", "--dry-run") == "account anna: would be unlocked.\n"
    assert FailedLogins.objects.count() == 2
    data = json.loads(run("unlock_login", "Anna", "2001:db8::5", "--json"))
    assert [(row["scope"], row["failures"]) for row in data["rows"]] == [
        ("account", 3),
        ("address", 3),
    ]
    assert not FailedLogins.objects.exists()
    entry = AuditEntry.objects.latest("id")
    assert (entry.action, entry.face) == ("unlocked", "command")


def test_unlock_login_unlocks_everything(anna: Any) -> None:
    for _ in range(3):
        request_token("anna")
    assert run("unlock_login", "--all") == "account anna: unlocked.\n"


def test_unlock_login_refuses_unknown_names_and_both_forms() -> None:
    with pytest.raises(CommandError, match="“bert” has no failed logins"):
        run("unlock_login", "bert")
    with pytest.raises(CommandError, match="Name accounts and addresses, or use --all"):
        run("unlock_login", "bert", "--all")


def test_requests_with_tokens_take_no_statement_for_limits(anna: Any) -> None:
    token = request_token("anna", PASSWORD).json()["token"]
    with CaptureQueriesContext(connection) as captured:
        Client(headers={"Authorization": f"Token {token}"}).get("tokens/")
    assert not any("failedlogins" in query["sql"] for query in captured)
