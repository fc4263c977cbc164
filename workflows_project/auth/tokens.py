"""API for tokens: create, list and revoke. Tokens are returned once and stored as hashes."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from knox.models import get_token_model
from rest_framework import mixins, serializers, status
from rest_framework.exceptions import AuthenticationFailed, NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from workflows.api.base.resources import Resource
from workflows.api.base.strict_fields import MomentField, StrictSerializer
from workflows.db.json_values import quoted

ID_LENGTH = 16
ID = OpenApiParameter("id", location=OpenApiParameter.PATH, description="The id of the token.")


class TokenSerializer(serializers.Serializer[Any]):
    """A token without its value."""

    id = serializers.SerializerMethodField(help_text="Identifies the token. It is not secret.")
    created = MomentField()
    expires = MomentField(source="expiry", allow_null=True)
    current = serializers.SerializerMethodField(help_text="True for the token of this request.")

    def get_id(self, row: Any) -> str:
        """Return the beginning of the hash."""
        return str(row.digest[:ID_LENGTH])

    def get_current(self, row: Any) -> bool:
        """Return True for the token of the request."""
        return bool(self.context["request"].auth == row)


class NewTokenSerializer(TokenSerializer):
    """A new token with its value."""

    token = serializers.CharField(
        help_text="Send it as Authorization: Token …. Only its hash is stored."
    )

    def to_representation(self, row: Any) -> dict[str, Any]:
        """Return the token with its value."""
        return {**super().to_representation(row), "token": row.token}


class EmptyBodySerializer(StrictSerializer):
    """An empty body."""


def _require_current_password(user: Any) -> None:
    """Raise ``AuthenticationFailed`` if the password has changed since the user logged in.

    Lock the user, so that a password change after this revokes the new token too.
    """
    rows = get_user_model()._base_manager.select_for_update(no_key=True).filter(pk=user.pk)
    if rows.values_list("password", flat=True).first() != user.password:
        raise AuthenticationFailed(_("The password has changed. Log in again."))


class TokenViewSet(mixins.ListModelMixin, Resource):
    """The tokens of the user."""

    serializer_class = TokenSerializer
    filter_backends = []

    def get_queryset(self) -> QuerySet[Any]:
        """Return the valid tokens of the user, newest first."""
        return self._own().exclude(expiry__lte=timezone.now()).order_by("-created", "digest")

    def get_throttles(self) -> list[Any]:
        """Return the throttles, with the scope ``token`` for creation."""
        self.throttle_scope = "token" if self.action == "create" else None
        return list(super().get_throttles())

    def _own(self) -> QuerySet[Any]:
        tokens: QuerySet[Any] = get_token_model().objects.filter(user=self.request.user)
        return tokens

    @extend_schema(
        operation_id="tokens_create",
        request=EmptyBodySerializer,
        responses={201: NewTokenSerializer},
    )
    def create(self, request: Request) -> Response:
        """Create a token.

        A token cannot create another one. Idempotency-Key is not accepted, because the response
        would be stored.
        """
        EmptyBodySerializer(data=request.data).is_valid(raise_exception=True)
        if isinstance(request.auth, get_token_model()):
            raise PermissionDenied(
                _("A token cannot create another token. Log in with name and password.")
            )
        with transaction.atomic():
            _require_current_password(request.user)
            self._own().filter(expiry__lte=timezone.now()).delete()
            row, token = get_token_model().objects.create(user=request.user)
        row.token = token
        serializer = NewTokenSerializer(row, context=self.get_serializer_context())
        headers = {"Cache-Control": "no-store"}
        return Response(serializer.data, status.HTTP_201_CREATED, headers=headers)

    @extend_schema(operation_id="tokens_revoke_all", responses={204: None})
    def revoke_all(self, request: Request) -> Response:
        """Revoke all tokens of the user."""
        EmptyBodySerializer(data=request.data).is_valid(raise_exception=True)
        self._own().delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(operation_id="tokens_revoke", parameters=[ID], responses={204: None})
    def revoke(self, request: Request, id: str) -> Response:
        """Revoke a token of the user."""
        EmptyBodySerializer(data=request.data).is_valid(raise_exception=True)
        is_valid = len(id) == ID_LENGTH and id.isalnum() and id.isascii()
        if not (is_valid and self._own().filter(digest__startswith=id).delete()[0]):
            raise NotFound(_("You have no token %(id)s.") % {"id": quoted(id)})
        return Response(status=status.HTTP_204_NO_CONTENT)
