"""Security schemes of the OpenAPI document.

A module apart from ``authentication``, which REST framework imports during its own import.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.authentication import BasicScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object


class TokenScheme(OpenApiAuthenticationExtension):
    """The scheme of tokens."""

    target_class = "workflows_project.auth.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Return an ``Authorization`` header with the prefix ``Token``."""
        return build_bearer_security_scheme_object("Authorization", "Token")


class NameAndPasswordScheme(BasicScheme):
    """The scheme of HTTP Basic authentication."""

    target_class = "workflows_project.auth.authentication.BasicAuthentication"
