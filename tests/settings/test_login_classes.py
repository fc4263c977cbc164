"""``API_AUTHENTICATION_CLASSES`` and ``AUTHENTICATION_BACKENDS``: additional login classes."""

from __future__ import annotations

import os
from pathlib import Path

from tests.settings.environments import ROOT, python

LOGIN_CLASSES = """
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from rest_framework.authentication import BaseAuthentication

class Backend(ModelBackend):
    pass

class Bearer(BaseAuthentication):
    def authenticate(self, request):
        if request.headers.get("Authorization") == "Bearer of news":
            return get_user_model()(username="ada"), None
"""
REQUEST = """
import django
django.setup()
from django.contrib.auth import get_backends
from rest_framework.test import APIClient
client = APIClient(headers={"Host": "localhost", "Authorization": "Bearer of news"})
print(client.get("/api/v1/node-types/").status_code, [type(row).__name__ for row in get_backends()])
"""


def test_configured_login_classes_are_added(tmp_path: Path) -> None:
    (tmp_path / "own_login.py").write_text(LOGIN_CLASSES)
    settings = {"DEBUG": "1", "DJANGO_SETTINGS_MODULE": "workflows_project.settings"}
    path = f"{ROOT}{os.pathsep}{tmp_path}"

    without = python("-c", REQUEST, PYTHONPATH=path, **settings)
    added = python(
        "-c",
        REQUEST,
        PYTHONPATH=path,
        API_AUTHENTICATION_CLASSES="own_login.Bearer",
        AUTHENTICATION_BACKENDS="own_login.Backend",
        **settings,
    )

    assert without.stdout == "401 ['ModelBackend']\n", without.stderr
    assert added.stdout == "200 ['ModelBackend', 'Backend']\n", added.stderr
