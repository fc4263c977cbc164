"""``/metrics`` for Prometheus, for clients with the token or from an allowed network."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare

from workflows_project.ops.access_log import find_address

PATH = "/metrics"


def is_enabled() -> bool:
    """Return True if somebody may read the metrics."""
    return bool(settings.METRICS_TOKEN or settings.METRICS_NETWORKS)


def request_metrics_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Any:
    """Count requests, if somebody may read the metrics.

    Raises:
        MiddlewareNotUsed: nobody may read the metrics.
    """
    if not is_enabled():
        raise MiddlewareNotUsed
    from workflows_project.ops import request_metrics

    return request_metrics.measure(get_response)


def may_read(request: HttpRequest) -> bool:
    """Return True if the request has the token, or comes from an allowed network."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if (
        settings.METRICS_TOKEN
        and scheme.lower() == "bearer"
        and constant_time_compare(given.strip(), settings.METRICS_TOKEN)
    ):
        return True
    try:
        address = ip_address(find_address(request))
    except ValueError:
        # A Unix socket has no address.
        return False
    return any(address in ip_network(network) for network in settings.METRICS_NETWORKS)


def answer_metrics(request: HttpRequest) -> HttpResponse:
    """Respond with the metrics in the format of Prometheus, or with 403."""
    if not may_read(request):
        return HttpResponse("Forbidden.\n", status=403, content_type="text/plain")
    from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

    # With several processes, the counters of all of them are read from their files.
    own = _shared_registry() if "PROMETHEUS_MULTIPROC_DIR" in os.environ else REGISTRY
    body = generate_latest(own) + generate_latest(_database_registry())
    return HttpResponse(body, content_type=CONTENT_TYPE_LATEST)


def _shared_registry() -> Any:
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry


@cache
def _database_registry() -> Any:
    from prometheus_client import CollectorRegistry

    from workflows_project.ops.database_metrics import DatabaseCollector

    registry = CollectorRegistry()
    registry.register(DatabaseCollector())
    return registry
