"""API for tokens: create, list and revoke. Tokens are returned once and stored as hashes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from knox.models import get_token_model
from rest_framework import mixins, serializers, status
from rest_framework.exceptions import ErrorDetail, NotFound, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from workflows.api.base.resources import Resource
from workflows.api.base.strict_fields import (
    MomentField,
    StrictCharField,
    StrictChoiceField,
    StrictSerializer,
)
from workflows.db.json_values import quoted
from workflows_project.auth import token_use
from workflows_project.auth.issuing import DEFAULT, MANAGE_ACCOUNTS, issue_token, service_accounts
from workflows_project.auth.scopes import SCOPES

ID_LENGTH = 16
ID = OpenApiParameter("id", location=OpenApiParameter.PATH, description="The id of the token.")
REVOKE = "knox.delete_authtoken"
"""The permission to revoke the tokens of other accounts."""


class TokenSerializer(serializers.Serializer[Any]):
    """A token without its value."""

    id = serializers.SerializerMethodField(help_text="Identifies the token. It is not secret.")
    name = serializers.CharField()
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=list(SCOPES)),
        allow_null=True,
        help_text="The requests it may be used for; null for all that the user may send.",
    )
    created = MomentField()
    expires = MomentField(source="expiry", allow_null=True)
    last_used_at = MomentField(
        allow_null=True, help_text="The last use, to the minute; null before the first one."
    )
    current = serializers.SerializerMethodField(help_text="True for the token of this request.")

    def to_representation(self, row: Any) -> dict[str, Any]:
        """Return the token with its details."""
        if not hasattr(row, "has_details"):
            details = getattr(row, "details", None)
            names = token_use.COLUMNS
            token_use.set_details(row, [getattr(details, name, None) for name in names])
        return super().to_representation(row)

    def get_id(self, row: Any) -> str:
        """Return the beginning of the hash."""
        return str(row.digest[:ID_LENGTH])

    def get_current(self, row: Any) -> bool:
        """Return True for the token of the request."""
        return bool(self.context["request"].auth == row)


class NewTokenSerializer(TokenSerializer):
    """A new token with its value."""

    token = serializers.CharField(
        help_text="Send it as Authorization: Bearer …. Only its hash is stored."
    )


class EmptyBodySerializer(StrictSerializer):
    """An empty body."""


class CreateTokenSerializer(StrictSerializer):
    """The settings of a new token."""

    name = StrictCharField(max_length=100, allow_blank=True, default="")
    scopes = serializers.ListField(
        child=StrictChoiceField(choices=list(SCOPES)),
        allow_null=True,
        allow_empty=False,
        default=None,
        help_text="The requests it may be used for; null for all that the user may send.",
    )
    expires = MomentField(
        allow_null=True,
        required=False,
        help_text="The time when it expires; null for never. By default after TOKEN_HOURS.",
    )
    account = StrictCharField(
        required=False,
        help_text="The name of a service account that gets the token, instead of the user.",
    )

    def validate_expires(self, value: datetime | None) -> datetime | None:
        """Return the time. Raise ``ValidationError`` if it is in the past."""
        if value is not None and value <= timezone.now():
            raise serializers.ValidationError(_("Choose a time in the future."), "invalid")
        return value


class TokenViewSet(mixins.ListModelMixin, Resource):
    """The tokens of the user."""

    serializer_class = TokenSerializer
    filter_backends = []

    def get_queryset(self) -> QuerySet[Any]:
        """Return the valid tokens of the user, newest first."""
        valid = self._own().exclude(expiry__lte=timezone.now())
        return valid.select_related("details").order_by("-created", "digest")

    def get_throttles(self) -> list[Any]:
        """Return the throttles, with the scope ``token`` for creation."""
        self.throttle_scope = "token" if self.action == "create" else None
        return list(super().get_throttles())

    def _own(self) -> QuerySet[Any]:
        tokens: QuerySet[Any] = get_token_model().objects.filter(user=self.request.user)
        return tokens

    @extend_schema(
        operation_id="tokens_create",
        request=CreateTokenSerializer,
        responses={201: NewTokenSerializer},
    )
    def create(self, request: Request) -> Response:
        """Create a token.

        A token cannot create another one. Idempotency-Key is not accepted, because the response
        would be stored.
        """
        body = CreateTokenSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        if isinstance(request.auth, get_token_model()):
            raise PermissionDenied(
                _("A token cannot create another token. Log in with name and password.")
            )
        values = {"expires": DEFAULT, **body.validated_data}
        account = values.pop("account", None)
        user = request.user if account is None else self._find_account(account)
        row, value = issue_token(user, **values)
        row.token = value
        serializer = NewTokenSerializer(row, context=self.get_serializer_context())
        headers = {"Cache-Control": "no-store"}
        return Response(serializer.data, status.HTTP_201_CREATED, headers=headers)

    def _find_account(self, name: str) -> Any:
        """Return the service account with this name.

        Raises:
            PermissionDenied: the user may not manage accounts.
            ValidationError: there is no such account.
        """
        if not self.request.user.has_perm(MANAGE_ACCOUNTS):
            raise PermissionDenied(_("You may create tokens only for your own account."))
        found = service_accounts().filter(username=name).first()
        if found is None:
            detail = _("No account that only programs use has the name %(name)s.")
            error = ErrorDetail(detail % {"name": quoted(name)}, "does_not_exist")
            raise ValidationError({"account": [error]})
        return found

    @extend_schema(operation_id="tokens_revoke_all", responses={204: None})
    def revoke_all(self, request: Request) -> Response:
        """Revoke all tokens of the user."""
        EmptyBodySerializer(data=request.data).is_valid(raise_exception=True)
        self._own().delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(operation_id="tokens_revoke", parameters=[ID], responses={204: None})
    def revoke(self, request: Request, id: str) -> Response:
        """Revoke a token of the user, or of any account for those who may revoke tokens."""
        EmptyBodySerializer(data=request.data).is_valid(raise_exception=True)
        is_valid = len(id) == ID_LENGTH and id.isalnum() and id.isascii()
        may_revoke = request.user.has_perm(REVOKE)
        tokens = get_token_model().objects.all() if may_revoke else self._own()
        if not (is_valid and tokens.filter(digest__startswith=id).delete()[0]):
            raise NotFound(_("You have no token %(id)s.") % {"id": quoted(id)})
        return Response(status=status.HTTP_204_NO_CONTENT)
