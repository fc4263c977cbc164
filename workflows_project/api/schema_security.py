"""How the description of the API tells the ways to log in.

Apart from the ways themselves: REST framework imports those in the middle of its own import.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.authentication import BasicScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object


class TokenScheme(OpenApiAuthenticationExtension):
    """Tokens, as the description of the API tells them."""

    target_class = "workflows_project.auth.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """A header with a prefix."""
        return build_bearer_security_scheme_object("Authorization", "Token")


class NameAndPasswordScheme(BasicScheme):
    """Names and passwords, likewise."""

    target_class = "workflows_project.auth.authentication.BasicAuthentication"
