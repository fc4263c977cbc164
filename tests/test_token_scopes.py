"""Names, scopes, expiry and last use of tokens, and tokens of service accounts."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError
from django.utils import timezone
from knox.models import AuthToken

from tests.factories import UserFactory, user_with
from tests.openapi import schema
from tests.workflows.admin.staff import staff
from tests.workflows.api.clients import Client, assert_problem
from workflows.db.prepared import Statement
from workflows_project.auth import scopes
from workflows_project.models import TokenDetails

pytestmark = pytest.mark.django_db

PAGE = "/admin/knox/authtoken/add/"
LATER = "2099-01-01T00:00:00Z"


def create(user: Any, **body: Any) -> Any:
    """Return the response to the creation of a token by a user with a session."""
    client = Client()
    client.force_login(user)
    return client.post("tokens/", body)


def bearer(token: str, scheme: str = "Bearer") -> Client:
    client = Client()
    client.credentials(HTTP_AUTHORIZATION=f"{scheme} {token}")
    return client


def superuser() -> Any:
    return UserFactory(is_superuser=True)


def scoped(*names: str) -> Client:
    return bearer(create(superuser(), scopes=list(names)).json()["token"])


def service_account(**values: Any) -> Any:
    account = UserFactory(username="grc-export", **values)
    account.set_unusable_password()
    account.save()
    return account


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Token", "token"])
def test_token_is_taken_with_both_schemes(scheme: str) -> None:
    token = create(UserFactory()).json()["token"]
    assert bearer(token, scheme).get("tokens/").status_code == 200


@pytest.mark.parametrize("header", ["Bearer", "Bearer a b", "Token ", "Bearer wrong"])
def test_wrong_header_is_refused_with_all_schemes(header: str) -> None:
    client = Client()
    client.credentials(HTTP_AUTHORIZATION=header)
    response = client.get("tokens/")
    assert_problem(response, 401, "authentication_failed")
    assert re.findall(r"\w+(?= realm)", response["WWW-Authenticate"]) == [
        *("Basic", "Bearer", "Token")
    ]


def test_bearer_token_of_another_issuer_is_left_to_other_classes(settings: Any) -> None:
    settings.API_AUTHENTICATION_CLASSES = ["oidc.Authentication"]
    assert_problem(bearer("a.b.c").get("tokens/"), 401, "not_authenticated")
    assert_problem(bearer("a.b.c", "Token").get("tokens/"), 401, "authentication_failed")


def test_create_stores_name_scopes_and_expiry() -> None:
    user = UserFactory()
    body = create(user, name="export", scopes=["read"], expires=LATER).json()
    assert (body["name"], body["scopes"], body["expires"]) == ("export", ["read"], LATER)
    (listed,) = bearer(body["token"]).get("tokens/").json()["results"]
    assert listed["last_used_at"]
    assert listed | {"last_used_at": None, "current": False, "token": body["token"]} == body


def test_repeated_scopes_are_stored_once() -> None:
    body = create(superuser(), scopes=["write:webhooks", "read"] * 50).json()
    assert body["scopes"] == ["write:webhooks", "read"]


def test_token_without_expiry_never_expires() -> None:
    assert create(UserFactory(), expires=None).json()["expires"] is None
    assert AuthToken.objects.get().expiry is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"expires": "2000-01-01"}, "/expires"),
        ({"expires": "soon"}, "/expires"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["write"]}, "/scopes/0"),
        ({"name": "n" * 101}, "/name"),
        ({"account": "nobody"}, "/account"),
    ],
)
def test_wrong_settings_are_refused(body: dict[str, Any], pointer: str) -> None:
    response = create(superuser(), **body)
    assert response.status_code == 400
    assert [row["pointer"] for row in response.json()["errors"]] == [pointer]
    assert not AuthToken.objects.exists()


# Scopes


def test_read_token_reads_and_changes_nothing() -> None:
    client = scoped("read")
    assert client.get("executions/").status_code == 200
    assert client.options("executions/").status_code == 200
    for path in ("executions/", "findings/", "finding-types/", "webhooks/", "tokens/"):
        body = assert_problem(client.post(path, {}), 403, "insufficient_scope")
        assert "read" in body["detail"]
    assert_problem(client.delete("tokens/"), 403, "insufficient_scope")


def test_write_token_changes_its_records_only() -> None:
    client = scoped("write:definitions")
    assert client.post("finding-types/", {"name": "n"}).status_code == 201
    assert_problem(client.get("finding-types/"), 403, "insufficient_scope")
    body = assert_problem(client.post("findings/", {}), 403, "insufficient_scope")
    assert "write:entities" in body["detail"]


def test_scope_gives_no_permission() -> None:
    client = bearer(create(UserFactory(), scopes=["read"]).json()["token"])
    assert_problem(client.get("executions/"), 403, "permission_denied")


def test_every_changing_route_belongs_to_a_scope() -> None:
    roots = {
        path.split("/")[3]
        for path, methods in schema()["paths"].items()
        if path.startswith("/api/v1/") and not path.endswith("/hook/") and set(methods) - {"get"}
    }
    assert roots - set(scopes.OWN) <= set(scopes.WRITES), "Add it to workflows_project/auth/scopes."
    assert set(scopes.WRITES.values()) | {scopes.READ} == set(scopes.SCOPES)


# Last use


def test_last_use_is_written_once_a_minute() -> None:
    client = scoped("read")

    def last_used() -> Any:
        return TokenDetails.objects.get().last_used_at

    client.get("workflows/")
    first = last_used()
    client.get("workflows/")
    assert last_used() == first is not None
    earlier = timezone.now() - timedelta(seconds=61)
    TokenDetails.objects.update(last_used_at=earlier)
    client.get("workflows/")
    assert last_used() > earlier


def test_request_succeeds_when_last_use_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    client = scoped("read")
    execute = Statement.execute

    def fail(statement: Statement, *args: Any, **kwargs: Any) -> Any:
        if statement.sql.startswith("UPDATE holdfast_tokendetails"):
            raise DatabaseError("read-only")
        return execute(statement, *args, **kwargs)

    monkeypatch.setattr(Statement, "execute", fail)
    assert client.get("workflows/").status_code == 200


def test_new_password_deletes_tokens_with_details() -> None:
    user = UserFactory()
    create(user)
    user.set_password("another")
    user.save()
    assert not AuthToken.objects.exists()
    assert not TokenDetails.objects.exists()


# Service accounts


def test_token_of_service_account_is_created_by_managers_of_accounts() -> None:
    account = service_account()
    body = {"account": "grc-export", "scopes": ["read"], "expires": None}
    assert_problem(create(UserFactory(), **body), 403, "permission_denied")
    manager = user_with("auth.change_user")
    response = create(manager, **body)
    assert response.status_code == 201
    assert AuthToken.objects.get().user == account
    me = bearer(response.json()["token"]).get("me/").json()
    assert (me["username"], me["token"]["scopes"]) == ("grc-export", ["read"])


def test_account_with_password_is_no_service_account() -> None:
    UserFactory(username="ada", password="secret")
    manager = user_with("auth.change_user")
    assert_problem(create(manager, account="ada"), 400, "does_not_exist")
    service_account(is_active=False)
    assert_problem(create(manager, account="grc-export"), 400, "does_not_exist")


def test_tokens_of_others_are_revoked_with_permission() -> None:
    row = AuthToken.objects.create(user=service_account())[0]
    client = Client()
    client.force_login(user_with("knox.delete_authtoken"))
    assert client.delete(f"tokens/{row.digest[:16]}/").status_code == 204
    assert not AuthToken.objects.exists()


class TestAdmin:
    def sent(self, account: Any, **values: Any) -> dict[str, Any]:
        return {"account": account.pk, "name": "export", **values}

    def test_token_is_created_and_displayed_once(self) -> None:
        account = service_account(is_superuser=True)
        browser = staff("auth.change_user", "knox.view_authtoken")
        assert "grc-export" in browser.get(PAGE).content.decode()
        response = browser.post(PAGE, self.sent(account, scopes=["read"]))
        page = response.content.decode()
        assert "no-store" in response["Cache-Control"]
        token = page.partition('id="token">')[2].partition("<")[0]
        assert bearer(token).get("workflows/").status_code == 200
        assert AuthToken.objects.get().expiry is None
        listed = browser.get("/admin/knox/authtoken/").content.decode()
        assert "export" in listed and "read" in listed and token not in listed

    @pytest.mark.parametrize(
        "values", [{"expires": "2000-01-01 00:00"}, {"scopes": ["write"]}, {"name": ""}]
    )
    def test_wrong_settings_are_explained(self, values: dict[str, Any]) -> None:
        response = staff("auth.change_user").post(PAGE, self.sent(service_account(), **values))
        assert "errorlist" in response.content.decode()
        assert not AuthToken.objects.exists()

    def test_token_of_account_with_password_is_refused(self) -> None:
        other = UserFactory(username="ada", password="secret")
        response = staff("auth.change_user").post(PAGE, self.sent(other))
        assert "errorlist" in response.content.decode()
        assert not AuthToken.objects.exists()

    def test_page_needs_the_permission_to_change_users(self) -> None:
        browser = staff("knox.view_authtoken", "knox.delete_authtoken")
        assert browser.get(PAGE).status_code == 403
        assert browser.post(PAGE, {}).status_code == 403


def test_me_shows_roles_and_permissions() -> None:
    user = user_with("executions.view_execution", email="ada@bank.example")
    client = Client()
    client.force_login(user)
    me = client.get("me/").json()
    assert me["permissions"] == ["executions.view_execution"]
    assert (me["username"], me["email"], me["token"]) == (user.username, user.email, None)
    client.force_login(get_user_model().objects.create_superuser("root"))
    assert "workflows.add_workflow" in client.get("me/").json()["permissions"]
