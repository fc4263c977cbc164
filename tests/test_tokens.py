"""Tokens: returned once, stored as hashes, rejected after expiry or revocation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone
from knox.models import AuthToken

from tests.conftest import Scenario
from tests.factories import UserFactory, user_in, user_with
from tests.workflows.admin.staff import list_messages, staff
from tests.workflows.api.clients import Client, assert_problem, statements

pytestmark = pytest.mark.django_db

PAGES = "/admin/knox/authtoken/"


def with_token(user: Any, **values: Any) -> Client:
    """Return a client that sends a new token of this user."""
    return client_with(AuthToken.objects.create(user=user, **values)[1])


def client_with(token: str) -> Client:
    client = Client()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


def assert_refused(client: Client, code: str) -> None:
    response = client.get("executions/")
    assert_problem(response, 401, code)
    assert 'Token realm="api"' in response["WWW-Authenticate"]
    assert 'Basic realm="api"' in response["WWW-Authenticate"]


class TestCreate:
    def test_create_with_name_and_password(self, settings: Any) -> None:
        UserFactory(username="ada", password="secret")
        client = Client()
        client.credentials(HTTP_AUTHORIZATION="Basic YWRhOnNlY3JldA==")
        response = client.post("tokens/", {})
        assert response.status_code == 201
        assert response["Cache-Control"] == "no-store"
        body = response.json()
        assert set(body) == {
            *("id", "name", "scopes", "created", "expires", "last_used_at", "current", "token")
        }
        assert client_with(body["token"]).get("tokens/").status_code == 200

    def test_create_with_session(self) -> None:
        client = Client()
        client.force_login(UserFactory())
        assert client.post("tokens/", {}).status_code == 201

    def test_create_with_token_is_refused(self) -> None:
        client = with_token(UserFactory())
        assert_problem(client.post("tokens/"), 403, "permission_denied")

    def test_create_rejects_fields(self) -> None:
        client = Client()
        client.force_login(UserFactory())
        assert_problem(client.post("tokens/", {"expiry": None}), 400, "unknown_field")

    def test_lifetime_is_read_from_settings(self, settings: Any) -> None:
        settings.REST_KNOX = {"TOKEN_TTL": timedelta(hours=3)}
        user = UserFactory()
        client = Client()
        client.force_login(user)
        client.post("tokens/")
        lifetime = AuthToken.objects.get().expiry - timezone.now()
        assert timedelta(hours=2, minutes=59) < lifetime <= timedelta(hours=3)

    def test_create_deletes_expired_tokens_of_user(self) -> None:
        user = UserFactory()
        AuthToken.objects.create(user=user, expiry=timedelta(seconds=-1))
        other = AuthToken.objects.create(user=UserFactory(), expiry=timedelta(seconds=-1))[0]
        client = Client()
        client.force_login(user)
        client.post("tokens/")
        assert AuthToken.objects.filter(user=user).count() == 1
        assert AuthToken.objects.filter(pk=other.pk).exists()


class TestStorage:
    def test_database_does_not_contain_token(self) -> None:
        client = Client()
        client.force_login(UserFactory())
        token = client.post("tokens/").json()["token"]
        stored = [str(value) for row in AuthToken.objects.values() for value in row.values()]
        assert not [value for value in stored if token in value]

    def test_token_is_returned_once_despite_idempotency_key(self) -> None:
        client = Client()
        client.force_login(UserFactory())
        one, other = (
            client.post("tokens/", headers={"Idempotency-Key": "k"}).json()["token"]
            for _ in range(2)
        )
        assert one != other
        listed = client.get("tokens/").content.decode()
        assert one not in listed and other not in listed and one[:15] not in listed


class TestAuthentication:
    def test_request_has_permissions_of_user(self) -> None:
        client = with_token(user_with("executions.view_execution"))
        assert client.get("executions/").status_code == 200
        assert client.get("workflows/").status_code == 403

    def test_request_needs_no_csrf_token(self, scenario: Scenario) -> None:
        _, token = AuthToken.objects.create(user=user_in("operator"))
        client = Client(enforce_csrf_checks=True)
        client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
        start = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
        assert client.post("executions/", start).status_code == 201

    def test_expired_token_is_rejected(self) -> None:
        client = with_token(UserFactory(), expiry=timedelta(seconds=-1))
        assert_refused(client, "token_expired")
        assert AuthToken.objects.exists(), "the request does not delete it"

    def test_token_of_inactive_user_is_rejected(self) -> None:
        user = UserFactory()
        client = with_token(user)
        get_user_model().objects.filter(pk=user.pk).update(is_active=False)
        assert_refused(client, "authentication_failed")

    @pytest.mark.parametrize("sent", ["Token", "Token a b", "Token é", "Token " + "0" * 64])
    def test_malformed_token_is_rejected(self, sent: str) -> None:
        client = Client()
        client.credentials(HTTP_AUTHORIZATION=sent)
        assert_refused(client, "authentication_failed")

    @pytest.mark.parametrize("others", [0, 5])
    def test_authentication_takes_one_statement(self, others: int) -> None:
        user = get_user_model().objects.create_superuser("root")
        for number in range(others):
            AuthToken.objects.create(user=user, expiry=timedelta(seconds=number - 2))
        client = with_token(user)
        assert statements(lambda: client.get("node-types/")) == 1

    def test_changed_permissions_apply_to_the_next_request(self) -> None:
        user = user_in("viewer")
        client = with_token(user)
        assert client.get("executions/").status_code == 200
        user.groups.clear()
        assert client.get("executions/").status_code == 403
        codename = {"content_type__app_label": "executions", "codename": "view_execution"}
        user.user_permissions.add(Permission.objects.get(**codename))
        assert client.get("executions/").status_code == 200
        get_user_model().objects.filter(pk=user.pk).update(is_superuser=True)
        assert client.get("workflows/").status_code == 200

    def test_permission_of_another_app_with_the_same_codename_does_not_count(self) -> None:
        user = user_with("executions.view_execution")
        other = ContentType.objects.get(app_label="workflows", model="version")
        Permission.objects.filter(codename="view_execution").update(content_type=other)
        assert with_token(user).get("executions/").status_code == 403


class TestRevocation:
    def test_revoke_one_of_several(self) -> None:
        user = UserFactory()
        client, other = with_token(user), with_token(user)
        rows = client.get("tokens/").json()["results"]
        (own,) = [row["id"] for row in rows if not row["current"]]
        assert client.delete(f"tokens/{own}/").status_code == 204
        assert_refused(other, "authentication_failed")
        assert client.get("tokens/").json()["count"] == 1

    def test_revoke_token_of_request(self) -> None:
        client = with_token(UserFactory())
        (row,) = client.get("tokens/").json()["results"]
        assert row["current"]
        client.delete(f"tokens/{row['id']}/")
        assert_refused(client, "authentication_failed")

    def test_revoke_all(self) -> None:
        user = UserFactory()
        client, other = with_token(user), with_token(user)
        assert client.delete("tokens/").status_code == 204
        assert_refused(other, "authentication_failed")

    @pytest.mark.parametrize("id_", ["0" * 16, "0", "%", "_" * 16, "x" * 200, "é" * 16])
    def test_revoke_unknown_id_returns_404(self, id_: str) -> None:
        client = with_token(UserFactory())
        assert_problem(client.delete(f"tokens/{id_}/"), 404, "not_found")
        assert AuthToken.objects.count() == 1

    def test_revoke_token_of_other_user_returns_404(self) -> None:
        client = with_token(UserFactory())
        row = AuthToken.objects.create(user=UserFactory())[0]
        assert_problem(client.delete(f"tokens/{row.digest[:16]}/"), 404, "not_found")
        assert client.delete("tokens/").status_code == 204
        assert AuthToken.objects.get() == row


class TestAdmin:
    def test_list_shows_user_without_secret(self) -> None:
        row, token = AuthToken.objects.create(user=UserFactory(username="grace"))
        page = staff("knox.view_authtoken").get(PAGES).content.decode()
        assert "grace" in page
        assert not any(text in page for text in (token[:15], row.digest[:16]))

    def test_revoked_token_is_rejected(self) -> None:
        user = UserFactory()
        client = with_token(user)
        sent = {"action": "revoke", "_selected_action": [AuthToken.objects.get().pk]}
        viewer = staff("knox.view_authtoken")
        viewer.post(PAGES, sent)
        assert client.get("tokens/").status_code == 200
        response = staff("knox.view_authtoken", "knox.delete_authtoken").post(PAGES, sent)
        assert list_messages(response) == ["1 token was revoked."]
        assert_refused(client, "authentication_failed")

    def test_tokens_are_deleted_with_user(self) -> None:
        user = UserFactory()
        AuthToken.objects.create(user=user)
        deleter = staff("auth.view_user", "auth.delete_user", "knox.delete_authtoken")
        response = deleter.post(f"/admin/auth/user/{user.pk}/delete/", {"post": "yes"})
        assert response.status_code == 302
        assert not AuthToken.objects.exists()
