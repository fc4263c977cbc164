"""The route ``me/``: the user of the request, and what they may do."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Permission
from django.db.models import Value
from django.db.models.functions import Concat
from drf_spectacular.utils import extend_schema
from knox.models import get_token_model
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from workflows.api.base.resources import Resource
from workflows_project.auth.tokens import TokenSerializer


class MeSerializer(serializers.Serializer[Any]):
    """The user of the request."""

    username = serializers.CharField(source="get_username")
    name = serializers.CharField(source="get_full_name")
    email = serializers.CharField()
    superuser = serializers.BooleanField(source="is_superuser")
    staff = serializers.BooleanField(source="is_staff")
    roles = serializers.SerializerMethodField(help_text="The groups of the user, by name.")
    permissions = serializers.SerializerMethodField(
        help_text="The permissions of the user, also those of the groups."
    )
    token = TokenSerializer(allow_null=True)

    def get_roles(self, user: Any) -> list[str]:
        """Return the names of the groups."""
        return list(user.groups.order_by("name").values_list("name", flat=True))

    def get_permissions(self, user: Any) -> list[str]:
        """Return the permissions; of a superuser, all that exist."""
        if not user.is_superuser:
            return sorted(user.get_all_permissions())
        names = Concat("content_type__app_label", Value("."), "codename")
        return sorted(Permission.objects.values_list(names, flat=True))

    def to_representation(self, user: Any) -> Any:
        """Return the user with the token of the request, if it has one."""
        auth = self.context["request"].auth
        user.token = auth if isinstance(auth, get_token_model()) else None
        return super().to_representation(user)


class MeViewSet(Resource):
    """The user of the request."""

    serializer_class = MeSerializer
    filter_backends = []

    @extend_schema(operation_id="me_read")
    def read(self, request: Request) -> Response:
        """Return the user."""
        return Response(self.get_serializer(request.user).data)
