"""Login with OpenID Connect at a provider on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth.models import Group, User
from django.test import Client
from jwt.algorithms import RSAAlgorithm
from knox.models import AuthToken

from tests.factories import UserFactory
from tests.settings.environments import manage
from workflows_project.auth.authentication import SINGLE_SIGN_ON
from workflows_project.auth.issuing import service_accounts

pytestmark = pytest.mark.django_db
CLIENT = "holdfast"


class Provider:
    """An identity provider with one user."""

    def __init__(self) -> None:
        self.claims: dict[str, Any] = {"sub": "1", "preferred_username": "anna"}
        self.nonce = ""
        self.requests: list[str] = []
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.signing_key = self.key

    def answer(self, path: str) -> dict[str, Any]:
        self.requests.append(path)
        if path == "/jwks":
            public = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
            return {"keys": [{**public, "kid": "1", "alg": "RS256", "use": "sig"}]}
        if path == "/userinfo":
            return self.claims
        now = int(time.time())
        token = {**self.claims, "aud": CLIENT, "nonce": self.nonce, "iat": now, "exp": now + 60}
        signed = jwt.encode(token, self.signing_key, "RS256", headers={"kid": "1"})
        return {"id_token": signed, "access_token": "access", "token_type": "Bearer"}


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    made = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.dumps(made.answer(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        at = f"http://127.0.0.1:{server.server_address[1]}"
        settings.OIDC_RP_CLIENT_ID, settings.OIDC_RP_CLIENT_SECRET = CLIENT, "secret"
        settings.OIDC_OP_AUTHORIZATION_ENDPOINT = f"{at}/authorize"
        settings.OIDC_OP_TOKEN_ENDPOINT = f"{at}/token"
        settings.OIDC_OP_USER_ENDPOINT = f"{at}/userinfo"
        settings.OIDC_OP_JWKS_ENDPOINT = f"{at}/jwks"
        settings.AUTHENTICATION_BACKENDS = [*settings.AUTHENTICATION_BACKENDS, SINGLE_SIGN_ON]
        settings.ROOT_URLCONF = "tests.oidc_urls"
        yield made
        server.shutdown()
        thread.join()


def log_in(provider: Provider, browser: Client) -> Any:
    """Log in at the provider, as a browser does. Return the response to the callback."""
    page = browser.get("/admin/login/?next=/admin/auth/user/").content.decode()
    assert 'href="/oidc/authenticate/?next=%2Fadmin%2Fauth%2Fuser%2F"' in page
    sent = browser.get("/oidc/authenticate/?next=/admin/auth/user/")["Location"]
    asked = {name: values[0] for name, values in parse_qs(urlsplit(sent).query).items()}
    assert asked["client_id"] == CLIENT and asked["code_challenge_method"] == "S256"
    provider.nonce = asked["nonce"]
    return browser.get("/oidc/callback/", {"code": "code", "state": asked["state"]})


def test_first_login_creates_account_with_groups(provider: Provider, settings: Any) -> None:
    settings.OIDC_GROUPS_CLAIM = "groups"
    Group.objects.get_or_create(name="operator")
    provider.claims.update(email="anna@example.com", groups=["operator", "unknown"])
    browser = Client()
    response = log_in(provider, browser)
    assert response["Location"] == "/admin/auth/user/"
    user = User.objects.get(username="anna")
    assert (user.email, user.is_staff, user.has_usable_password()) == (
        "anna@example.com",
        True,
        False,
    )
    assert [group.name for group in user.groups.all()] == ["operator"]
    assert browser.get("/admin/").status_code == 200
    provider.claims["groups"] = []
    log_in(provider, Client())
    user.refresh_from_db()
    assert not user.is_staff and not user.groups.exists()


def test_account_with_a_password_is_not_taken_over(provider: Provider) -> None:
    user = UserFactory(username="anna", is_superuser=True)
    user.set_password("a password of its own")
    user.save()
    browser = Client()
    response = log_in(provider, browser)
    assert response["Location"].startswith("/admin/login/")
    assert "_auth_user_id" not in browser.session


def test_service_account_with_a_token_is_not_taken_over(provider: Provider) -> None:
    user = UserFactory(username="anna", is_superuser=True)
    user.set_unusable_password()
    user.save()
    AuthToken.objects.create(user=user)
    browser = Client()
    response = log_in(provider, browser)
    assert response["Location"].startswith("/admin/login/")
    assert "_auth_user_id" not in browser.session


def test_people_who_log_in_at_a_provider_are_no_service_accounts(provider: Provider) -> None:
    for _ in range(2):
        browser = Client()
        log_in(provider, browser)
        assert "_auth_user_id" in browser.session
        anna = User.objects.get(username="anna")
        assert anna not in service_accounts()
        # A token of her own changes nothing.
        AuthToken.objects.create(user=anna)


def test_token_with_another_signature_is_refused(provider: Provider) -> None:
    provider.signing_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    browser = Client()
    assert log_in(provider, browser).status_code == 400
    assert not User.objects.filter(username="anna").exists()


def test_inactive_account_is_refused(provider: Provider) -> None:
    user = UserFactory(username="anna", is_active=False)
    user.set_unusable_password()
    user.save()
    browser = Client()
    log_in(provider, browser)
    assert "_auth_user_id" not in browser.session


def test_user_without_a_name_is_refused(provider: Provider) -> None:
    del provider.claims["preferred_username"]
    assert log_in(provider, Client())["Location"].startswith("/admin/login/")


def test_user_whose_name_is_too_long_is_refused(provider: Provider) -> None:
    user = UserFactory(username="a" * 150)
    user.set_unusable_password()
    user.save()
    provider.claims["preferred_username"] = "a" * 151
    browser = Client()
    log_in(provider, browser)
    assert "_auth_user_id" not in browser.session


def test_second_login_finds_account_when_its_name_was_normalized(provider: Provider) -> None:
    provider.claims["preferred_username"] = "\ufb01nn"
    for _ in range(2):
        browser = Client()
        log_in(provider, browser)
        assert "_auth_user_id" in browser.session
    assert User.objects.filter(username="finn").count() == 1


def test_login_page_has_no_link_without_a_client(client: Client) -> None:
    assert "single sign-on" not in client.get("/admin/login/").content.decode()


def test_client_without_addresses_is_an_invalid_setting() -> None:
    done = manage("check", DEBUG="1", OIDC_CLIENT_ID="holdfast")
    assert done.returncode == 1
    assert "OIDC_CLIENT_ID is set, but OIDC_TOKEN_ENDPOINT='' is not an address" in done.stderr
