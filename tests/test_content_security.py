"""The content security policy of responses."""

from __future__ import annotations

import re

import pytest
from django.test import Client, override_settings
from django.urls import reverse

pytestmark = pytest.mark.django_db

HEADER = "Content-Security-Policy"


def policy(response: object) -> dict[str, str]:
    parts = response.headers[HEADER].split("; ")  # type: ignore[attr-defined]
    return dict(part.split(" ", 1) for part in parts)


@pytest.mark.parametrize("address", ["/admin/", "/admin/login/", "/api/v1/workflows/", "/none/"])
def test_responses_allow_own_sources_only(admin_client: Client, address: str) -> None:
    sent = policy(admin_client.get(address))
    assert sent["default-src"] == "'self'"
    assert not {"script-src", "style-src"} & set(sent)
    assert "unsafe" not in str(sent)


def test_admin_pages_comply_with_policy(admin_client: Client) -> None:
    for name in ("index", "workflows_workflow_changelist", "workflows_workflow_add"):
        html = admin_client.get(reverse(f"admin:{name}")).content.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>", html)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", html)


def test_api_docs_allow_inline_styles_but_no_scripts(
    admin_client: Client,
) -> None:
    page = admin_client.get(reverse("api:docs"))
    sent = policy(page)
    assert sent["default-src"] == "'self'"
    assert "script-src" not in sent
    scripts = re.findall(r'<script src="([^"]+)"></script>', page.content.decode())
    assert len(scripts) == page.content.count(b"<script") == 3
    start = admin_client.get(scripts[-1])
    assert start.headers["Content-Type"] == "application/javascript"
    assert b"SwaggerUIBundle(" in start.content


def test_redoc_may_use_own_scripts_and_worker(admin_client: Client) -> None:
    page = admin_client.get(reverse("api:redoc"))
    sent = policy(page)
    assert sent["worker-src"] == "blob:"
    assert "script-src" not in sent
    assert len(re.findall(rb'<script src="/', page.content)) == page.content.count(b"<script")


def test_debug_pages_keep_their_styles(client: Client) -> None:
    with override_settings(DEBUG=True):
        response = client.get("/none/")
    assert response.status_code == 404
    assert HEADER not in response.headers
