"""Probes: ``/healthz`` (the process responds), ``/readyz`` (it can do its work), ``/metrics``."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse

from workflows_project.ops import metrics, readiness

logger = logging.getLogger(__name__)

HEALTH, READY = "/healthz", "/readyz"


def probe_middleware(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Answer probes before any other middleware.

    Load balancers and Prometheus ask by IP address and without TLS, so neither ``ALLOWED_HOSTS``
    nor the redirect to HTTPS applies to them.
    """
    answers = {HEALTH: answer_health, READY: answer_readiness}
    if metrics.is_enabled():
        answers[metrics.PATH] = metrics.answer_metrics

    def middleware(request: HttpRequest) -> HttpResponse:
        answer = answers.get(request.path_info)
        if answer is None:
            return get_response(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        response = answer(request)
        response.headers["Cache-Control"] = "no-store"
        return response

    return middleware


def answer_health(request: HttpRequest) -> HttpResponse:
    """Respond with 200: the process works."""
    return JsonResponse({"status": "ok"})


def answer_readiness(request: HttpRequest) -> HttpResponse:
    """Run the checks. Respond with 503 if one fails.

    The parameter ``exclude`` names a check that is not run; it can be repeated.
    """
    excluded = request.GET.getlist("exclude")
    names = [check.name for check in readiness.CHECKS]
    if unknown := set(excluded).difference(names):
        detail = f"Unknown checks in exclude: {len(unknown)}. Allowed: {', '.join(names)}."
        return JsonResponse({"status": "invalid", "detail": detail}, status=400)
    results = list(readiness.run_checks(excluded))
    failed = [result for result in results if result.fault is not None]
    for result in failed:
        logger.warning("Not ready: %s", result.text)
    checks = {result.name: _describe(result) for result in results}
    body = {"status": "failed" if failed else "ok", "checks": checks}
    response = JsonResponse(body, status=503 if failed else 200)
    # Otherwise Django logs another line about the response.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _describe(result: readiness.Result) -> dict[str, str]:
    if result.fault is not None:
        return {"status": "failed", "detail": result.fault.detail, "remedy": result.fault.remedy}
    return {"status": "skipped" if result.is_skipped else "ok"}
