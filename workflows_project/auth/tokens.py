"""Tokens for programs: got with a name and password, shown once, kept as a hash, and revoked."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
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
    """A token that its owner holds; what it is, nobody can tell any more."""

    id = serializers.SerializerMethodField(help_text="Names the token; it opens nothing.")
    created = MomentField()
    expires = MomentField(source="expiry", allow_null=True)
    current = serializers.SerializerMethodField(help_text="The request was sent with it.")

    def get_id(self, row: Any) -> str:
        """The beginning of its hash."""
        return str(row.digest[:ID_LENGTH])

    def get_current(self, row: Any) -> bool:
        """Whether the request was sent with it."""
        return bool(self.context["request"].auth == row)


class NewTokenSerializer(TokenSerializer):
    """A token, this once."""

    token = serializers.CharField(help_text="Send it as Authorization: Token …; kept as a hash.")

    def to_representation(self, row: Any) -> dict[str, Any]:
        """The row, and what was drawn for it."""
        return {**super().to_representation(row), "token": row.token}


class NothingSerializer(StrictSerializer):
    """Nothing can be asked for."""


def _require_password_of(user: Any) -> None:
    """Raises ``AuthenticationFailed`` when the password has changed since the user logged in.

    Until the transaction ends it does not change: a token would not end with the old one.
    """
    rows = get_user_model()._base_manager.select_for_update(no_key=True).filter(pk=user.pk)
    if rows.values_list("password", flat=True).first() != user.password:
        raise AuthenticationFailed("The password has changed meanwhile: log in again.")


class TokenViewSet(mixins.ListModelMixin, Resource):
    """The tokens of whoever asks."""

    serializer_class = TokenSerializer
    filter_backends = []

    def get_queryset(self) -> QuerySet[Any]:
        """Own tokens that can still be used, newest first."""
        return self._own().exclude(expiry__lte=timezone.now()).order_by("-created", "digest")

    def get_throttles(self) -> list[Any]:
        """Getting one has a scope of its own."""
        self.throttle_scope = "token" if self.action == "create" else None
        return list(super().get_throttles())

    def _own(self) -> QuerySet[Any]:
        tokens: QuerySet[Any] = get_token_model().objects.filter(user=self.request.user)
        return tokens

    @extend_schema(
        operation_id="tokens_create",
        request=NothingSerializer,
        responses={201: NewTokenSerializer},
    )
    def create(self, request: Request) -> Response:
        """Get a token: the one time that it is shown. No token gives another one.

        It takes no Idempotency-Key, with which the answer would be kept.
        """
        NothingSerializer(data=request.data).is_valid(raise_exception=True)
        if isinstance(request.auth, get_token_model()):
            raise PermissionDenied("A token gives no other token: log in for it.")
        with transaction.atomic():
            _require_password_of(request.user)
            self._own().filter(expiry__lte=timezone.now()).delete()
            row, token = get_token_model().objects.create(user=request.user)
        row.token = token
        shown = NewTokenSerializer(row, context=self.get_serializer_context())
        headers = {"Cache-Control": "no-store"}
        return Response(shown.data, status.HTTP_201_CREATED, headers=headers)

    @extend_schema(operation_id="tokens_revoke_all", responses={204: None})
    def revoke_all(self, request: Request) -> Response:
        """Revoke all one's own tokens."""
        NothingSerializer(data=request.data).is_valid(raise_exception=True)
        self._own().delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(operation_id="tokens_revoke", parameters=[ID], responses={204: None})
    def revoke(self, request: Request, id: str) -> Response:
        """Revoke one's own token, the one that the request is sent with too."""
        NothingSerializer(data=request.data).is_valid(raise_exception=True)
        known = len(id) == ID_LENGTH and id.isalnum() and id.isascii()
        if not (known and self._own().filter(digest__startswith=id).delete()[0]):
            raise NotFound(f"You have no token {quoted(id)}.")
        return Response(status=status.HTTP_204_NO_CONTENT)
