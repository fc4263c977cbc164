"""The route ``status/``: what client programs and administrators ask about an installation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from executions.worker import heartbeat
from workflows.api.base.resources import Resource
from workflows.api.base.strict_fields import MomentField
from workflows.db import clock

VENDORS = ("postgresql", "sqlite")
"""The kinds of database."""


class DatabaseStatusSerializer(serializers.Serializer[Any]):
    """The database."""

    vendor = serializers.ChoiceField(choices=VENDORS)
    version = serializers.CharField()


class WorkerStatusSerializer(serializers.Serializer[Any]):
    """The background workers."""

    running = serializers.BooleanField(
        help_text="False if no worker has been seen for a minute: timers and mail wait."
    )
    last_seen_at = MomentField(allow_null=True)


class StatusSerializer(serializers.Serializer[Any]):
    """The status of the installation."""

    version = serializers.CharField()
    api_version = serializers.CharField()
    time = MomentField()
    time_zone = serializers.CharField()
    database = DatabaseStatusSerializer()
    worker = WorkerStatusSerializer()


class StatusViewSet(Resource):
    """The status of the installation. Every user may view it."""

    serializer_class = StatusSerializer
    filter_backends = []

    @extend_schema(operation_id="status_read")
    def read(self, request: Request) -> Response:
        """Return the status."""
        age, now = heartbeat.seconds_since_last_beat(), clock.now()
        status = {
            "version": settings.VERSION,
            "api_version": settings.SPECTACULAR_SETTINGS["VERSION"],
            "time": now,
            "time_zone": settings.TIME_ZONE,
            "database": {
                "vendor": connection.vendor,
                "version": ".".join(map(str, connection.get_database_version())),
            },
            "worker": {
                "running": not heartbeat.is_worker_missing(age),
                "last_seen_at": None if age is None else now - timedelta(seconds=age),
            },
        }
        return Response(StatusSerializer(status).data, headers={"Cache-Control": "no-store"})
