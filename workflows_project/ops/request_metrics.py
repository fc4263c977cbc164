"""Counts and durations of requests, and counts of refusals, in the memory of this process.

With ``PROMETHEUS_MULTIPROC_DIR``, all processes of a machine share them in files.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter, Histogram

from workflows_project.ops.access_log import find_code

# A client could send any method, and each value of a label takes memory.
METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REQUESTS = Counter(
    "holdfast_http_requests_total",
    "Requests by method, view, status and problem code.",
    ("method", "view", "status", "code"),
)
SECONDS = Histogram(
    "holdfast_http_request_seconds",
    "Duration of requests until the response begins.",
    ("method", "view"),
    buckets=BUCKETS,
)
REFUSALS = Counter(
    "holdfast_refusals_total", "Refused edits and starts by code.", ("code", "interface")
)


def measure(get_response: Callable[[HttpRequest], HttpResponse]) -> Any:
    """Return the middleware that counts requests."""

    def middleware(request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = get_response(request)
        method = request.method if request.method in METHODS else "other"
        match = request.resolver_match
        view = (match.view_name if match else None) or "none"
        SECONDS.labels(method, view).observe(time.perf_counter() - began)
        REQUESTS.labels(method, view, response.status_code, find_code(response)).inc()
        return response

    return middleware


def count_refusal(sender: Any, code: str, interface: str, **kwargs: Any) -> None:
    """Count a refusal. Receives the signal ``refused``."""
    REFUSALS.labels(code, interface).inc()
