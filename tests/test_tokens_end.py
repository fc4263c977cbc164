"""Tokens and sessions end when the password changes or the user is deactivated."""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client as Browser
from knox.models import AuthToken

from tests.factories import UserFactory
from tests.test_tokens import assert_refused, with_token
from tests.workflows.api.clients import Client, statements

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

NEW = "correct horse battery"


@pytest.fixture
def ada() -> User:
    user: User = UserFactory(username="ada", password="secret", is_staff=True, is_superuser=True)
    return user


def save(user: User) -> None:
    user.set_password(NEW)
    user.save()


def save_field(user: User) -> None:
    user.set_password(NEW)
    user.save(update_fields=["password"])


def bulk_update(user: User) -> None:
    user.set_password(NEW)
    User.objects.bulk_update([user], ["password"])


def set_unusable(user: User) -> None:
    user.set_unusable_password()
    user.save()


def change_as_administrator(user: User) -> None:
    root = Browser()
    root.force_login(UserFactory(is_staff=True, is_superuser=True))
    sent = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    assert root.post(f"/admin/auth/user/{user.pk}/password/", sent).status_code == 302


def change_as_user(user: User) -> None:
    browser = Browser()
    browser.force_login(user)
    sent = {"old_password": "secret", "new_password1": NEW, "new_password2": NEW}
    assert browser.post("/admin/password_change/", sent).status_code == 302
    # The session that changed it stays valid.
    assert browser.get("/admin/").status_code == 200


def change_by_command(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda **_: NEW)
    call_command("changepassword", user.get_username(), verbosity=0)


def change_by_statement(user: User) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE auth_user SET password = 'x' WHERE id = %s", [user.pk])


CHANGES: dict[str, Callable[[User], object]] = {
    "save": save,
    "save of the field": save_field,
    "bulk update": bulk_update,
    "update": lambda user: User.objects.filter(pk=user.pk).update(password="x"),
    "unusable": set_unusable,
    "administrator": change_as_administrator,
    "own page": change_as_user,
    "statement": change_by_statement,
}


@pytest.mark.parametrize("change", CHANGES)
def test_tokens_and_sessions_end_when_the_password_changes(ada: User, change: str) -> None:
    token, session = with_token(ada), Client()
    session.force_login(ada)
    other = with_token(UserFactory())
    assert token.get("tokens/").status_code == session.get("tokens/").status_code == 200
    CHANGES[change](ada)
    assert_refused(token, "authentication_failed")
    assert session.get("tokens/").status_code == 401
    assert other.get("tokens/").status_code == 200


def test_tokens_end_when_the_command_changes_the_password(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = with_token(ada)
    change_by_command(ada, monkeypatch)
    assert_refused(token, "authentication_failed")


def test_tokens_stay_valid_when_other_fields_change(ada: User) -> None:
    token = with_token(ada)
    ada.first_name = "Ada"
    ada.save()
    User.objects.update(last_name="Lovelace")
    assert token.get("tokens/").status_code == 200


def test_create_is_refused_when_password_changes_meanwhile(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workflows_project.auth import issuing

    check = issuing.require_current_password

    def change_first(user: Any) -> None:
        save(User.objects.get(pk=ada.pk))
        check(user)

    monkeypatch.setattr(issuing, "require_current_password", change_first)
    client = Client()
    client.force_login(ada)
    assert client.post("tokens/", {}).status_code == 401
    assert not AuthToken.objects.exists()


@pytest.mark.parametrize("method", ["token", "session", "basic"])
def test_deactivated_user_is_rejected(ada: User, method: str) -> None:
    client = Client()
    if method == "token":
        client = with_token(ada)
    elif method == "session":
        client.force_login(ada)
    else:
        sent = b64encode(b"ada:secret").decode()
        client.credentials(HTTP_AUTHORIZATION=f"Basic {sent}")
    assert client.get("tokens/").status_code == 200
    get_user_model().objects.filter(pk=ada.pk).update(is_active=False)
    assert client.get("tokens/").status_code == 401
    if method == "session":
        assert "login" in client.get("/admin/")["Location"]


def test_request_with_token_takes_one_statement(ada: User) -> None:
    client = with_token(ada)
    assert statements(lambda: client.get("node-types/")) == 1


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_password_change_waits_for_token_creation_and_revokes_token() -> None:
    from workflows_project.auth import issuing

    ada = UserFactory(username="ada", password="secret")
    done: list[bool] = []

    def change() -> None:
        save(User.objects.get(pk=ada.pk))
        done.append(True)
        connection.close()

    with transaction.atomic():
        issuing.require_current_password(ada)
        other = threading.Thread(target=change)
        other.start()
        AuthToken.objects.create(user=ada)
        other.join(0.3)
        assert not done
    other.join()
    assert done
    assert not AuthToken.objects.exists()
