"""Forms without a session or a CSRF token are offered again."""

from __future__ import annotations

import re
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from executions.models import Finding, Secret
from tests.conftest import Scenario
from tests.factories import UserFactory
from tests.workflows.admin.forms import form_of
from tests.workflows.admin.staff import page, text
from workflows_project import lost_forms

pytestmark = pytest.mark.django_db

LOGIN = "/admin/login/"
CSRF = "csrfmiddlewaretoken"
TYPED = 'Typed "long" <b>text</b>\r\nin two lines'


@pytest.fixture
def user() -> Any:
    return UserFactory(username="ada", password="secret", is_staff=True, is_superuser=True)


def browser(user: Any = None) -> Client:
    """Return a client that enforces CSRF checks."""
    client = Client(enforce_csrf_checks=True)
    if user is not None:
        client.force_login(user)
    return client


def typed(client: Client, finding: Finding, **more: str) -> dict[str, Any]:
    """Open the page of a finding and fill in its form."""
    sent = form_of(client.get(page(finding)), having="title")
    return {**sent, "title": "Typed", "fields": '{"note": "long"}', **more}


def log_in(client: Client, answer: Any) -> Any:
    """Log in on the page that a response redirects to, and follow the next redirect."""
    login_page = client.get(answer["Location"])
    sent = {**form_of(login_page, having="username"), "username": "ada", "password": "secret"}
    return client.post(answer["Location"], sent, follow=True)


def test_form_without_session_is_offered_after_login(user: Any, scenario: Scenario) -> None:
    client = browser(user)
    sent = typed(client, scenario.finding)
    del client.cookies["sessionid"]
    answer = client.post(page(scenario.finding), sent)
    assert answer.status_code == 302 and answer["Location"].startswith(LOGIN)
    offered = log_in(client, answer)
    assert "Your session had ended when you submitted this form. Nothing was changed." in text(
        offered
    )
    assert "<dt>title</dt><dd>Typed</dd>" in text(offered)
    scenario.finding.refresh_from_db()
    assert scenario.finding.title == "Finding 1"
    again = form_of(offered, page(scenario.finding))
    assert {**again, CSRF: ""} == {**sent, CSRF: ""}
    assert client.post(page(scenario.finding), again)["Location"]
    scenario.finding.refresh_from_db()
    assert (scenario.finding.title, scenario.finding.fields) == ("Typed", {"note": "long"})
    # The form is offered once.
    assert client.get(reverse("admin:send_again"))["Location"] == reverse("admin:index")


def test_form_with_deleted_session_is_offered_after_login(user: Any, scenario: Scenario) -> None:
    client = browser(user)
    sent = typed(client, scenario.finding)
    Session.objects.all().delete()
    offered = log_in(client, client.post(page(scenario.finding), sent))
    assert form_of(offered, page(scenario.finding))["title"] == "Typed"


def test_start_without_session_runs_once_after_login(user: Any, scenario: Scenario) -> None:
    client = browser(user)
    address = reverse("admin:executions_execution_start", args=[scenario.caller.pk])
    sent = {**form_of(client.get(address), having="_once"), "entity": str(scenario.finding.pk)}
    del client.cookies["sessionid"]
    offered = log_in(client, client.post(address, sent))
    again = form_of(offered, address)
    for _ in range(2):
        client.post(address, again)
    assert scenario.finding.executions.count() == 1


def test_large_or_old_form_is_not_offered(
    user: Any, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser(user)
    large = typed(client, scenario.finding, title="x" * lost_forms.MAX_CHARACTERS)
    small = typed(client, scenario.finding)
    del client.cookies["sessionid"]
    answer = client.post(page(scenario.finding), large)
    assert page(scenario.finding) in answer["Location"]
    assert lost_forms.SESSION_KEY not in client.session
    answer = client.post(page(scenario.finding), small)
    monkeypatch.setattr(lost_forms, "MAX_AGE_SECONDS", -1)
    assert log_in(client, answer).redirect_chain[-1][0] == reverse("admin:index")


def test_page_without_session_redirects_to_itself_after_login(scenario: Scenario) -> None:
    answer = browser().get(page(scenario.finding))
    assert answer["Location"] == f"{LOGIN}?next={page(scenario.finding)}"
    assert not Session.objects.exists()


@pytest.mark.parametrize("token", [None, "x" * 64])
def test_form_without_csrf_token_is_offered_again(
    user: Any, scenario: Scenario, token: str | None
) -> None:
    client = browser(user)
    sent = typed(client, scenario.finding, title=TYPED)
    sent.pop(CSRF)
    answer = client.post(page(scenario.finding), {**sent, **({CSRF: token} if token else {})})
    assert answer.status_code == 403
    assert "This form could not be verified" in text(answer)
    assert "<b>text</b>" not in text(answer)
    assert text(answer).count("<h1>This form could not be verified</h1>") == 1
    assert "Django administration" not in text(answer)
    assert "<dt>initial-fields</dt>" not in text(answer)
    scenario.finding.refresh_from_db()
    assert scenario.finding.title == "Finding 1"
    again = form_of(answer, page(scenario.finding))
    assert again["title"] == TYPED
    answer = client.post(page(scenario.finding), {**again, "title": "Typed"})
    assert answer.status_code == 302
    scenario.finding.refresh_from_db()
    assert scenario.finding.title == "Typed"


def test_form_of_other_site_is_not_offered(user: Any, scenario: Scenario) -> None:
    client = browser(user)
    sent = typed(client, scenario.finding)
    sent.pop(CSRF)
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Referer": "https://evil.example/admin/"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        answer = client.post(page(scenario.finding), sent, headers=headers)
        assert answer.status_code == 403
        assert "Typed" not in text(answer)
    answer = client.post(page(scenario.finding), sent, headers={"Origin": "http://testserver"})
    assert "Typed" in text(answer)


def test_csrf_page_has_no_scripts(user: Any, scenario: Scenario) -> None:
    client = browser(user)
    answer = client.post(page(scenario.finding), {"title": "Typed"})
    html = answer.content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", html)
    assert "unsafe" not in answer.headers["Content-Security-Policy"]


def test_passwords_and_secrets_are_not_offered_again(user: Any, settings: Any) -> None:
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    secret = Secret(name="KEY")
    secret.set_value("first-value")
    secret.save()
    private = "correct-horse-9"
    passwords = {"password1": private, "password2": private, "old_password": private}
    client = browser(user)
    for address, sent in (
        (page(secret), {"name": "KEY", "value": private}),
        (reverse("admin:executions_secret_add"), {"name": "KEY", "value": private}),
        (reverse("admin:auth_user_add"), {"username": "bea", **passwords}),
        (page(user, "password_change"), passwords),
        (reverse("admin:password_change"), {"new_password1": private, **passwords}),
        (LOGIN, {"username": "ada", "password": private}),
    ):
        answer = client.post(address, sent)
        assert answer.status_code == 403, address
        assert private not in answer.content.decode(), address
        assert "Passwords and files are not stored" in text(answer), address
    session = browser()
    session.get(LOGIN)
    sent = {"name": "KEY", "value": private, CSRF: session.cookies["csrftoken"].value}
    answer = session.post(page(secret), sent)
    stored = session.session[lost_forms.SESSION_KEY]
    assert ["name", "KEY"] in stored["fields"] and private not in str(stored)
    assert answer["Location"].startswith(LOGIN)


def test_api_answers_missing_csrf_token_with_problem(user: Any) -> None:
    client = browser(user)
    answer = client.post("/api/v1/findings/", {}, content_type="application/json")
    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("address", ["https://example.org/", "//example.org", "javascript:1", ""])
def test_login_redirects_home_for_foreign_url(user: Any, address: str) -> None:
    sent = {"username": "ada", "password": "secret", "next": address}
    answer = Client().post(LOGIN, sent)
    assert (answer.status_code, answer["Location"]) == (302, reverse("admin:index"))
