"""Security schemes of the OpenAPI document.

A module apart from ``authentication``, which REST framework imports during its own import.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.authentication import BasicScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension


class TokenScheme(OpenApiAuthenticationExtension):
    """The scheme of tokens."""

    target_class = "workflows_project.auth.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Return the scheme of bearer tokens; ``Authorization: Token`` is accepted too."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A token of `POST tokens/`. Its scopes limit what it may be used for.",
        }


class NameAndPasswordScheme(BasicScheme):
    """The scheme of HTTP Basic authentication."""

    target_class = "workflows_project.auth.authentication.BasicAuthentication"
