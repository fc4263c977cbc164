"""What every part of the API shares: errors as problems (RFC 9457) and permissions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, RequestDataTooBig, ValidationError
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import DatabaseError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings

from executions.guards import Ended, NoIncident, NotAssigned, NotOpen, SubscriptionDisabled
from executions.services.interventions import NotPostponable, NotSkippable
from workflows.api.base.refusals import blockers_data, remedies_data
from workflows.audit.log import record_refusal
from workflows.db import locks
from workflows.db.faults import find_fault
from workflows.db.json_values import below
from workflows.guards import Settled, Stale, StaleToken, StaleVersion
from workflows.guards.database_errors import as_refusal
from workflows.refusals import Problem, Refusal
from workflows_project.api.database_faults import log_fault
from workflows_project.api.problems import CONTENT_TYPE, problem

STATUS_OF_REFUSALS: dict[type[Refusal], int] = {
    Stale: 409,
    StaleVersion: 409,
    StaleToken: 409,
    Settled: 409,
    Ended: 409,
    NotOpen: 409,
    NoIncident: 409,
    NotSkippable: 409,
    NotPostponable: 409,
    SubscriptionDisabled: 409,
    NotAssigned: 403,
}
"""The status of a refusal that says more than 400."""


def problem_response(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer an exception of a view as a problem; None for a fault, which becomes a 500."""
    if isinstance(exc, ValidationError):
        for leaf in _leaves(exc):
            if isinstance(leaf, Refusal):
                record_refusal(leaf)
    described = _describe(exc, context)
    if described is None:
        return None
    request = context.get("request")
    if request is not None:
        # A view may render HTML or YAML, and its problems are JSON all the same.
        request.accepted_renderer = JSONRenderer()
        request.accepted_media_type = CONTENT_TYPE
    body, headers = described
    response = Response(body, body["status"], headers=headers, content_type=CONTENT_TYPE)
    if body["status"] == 503:
        # ``log_fault`` has written the line about it.
        response._has_been_logged = True  # type: ignore[attr-defined]
    return response


_Described = tuple[dict[str, Any], dict[str, str]]


def _describe(exc: Exception, context: Mapping[str, Any]) -> _Described | None:
    if isinstance(exc, Http404):
        exc = exceptions.NotFound(*exc.args)
    elif isinstance(exc, DjangoPermissionDenied):
        exc = exceptions.PermissionDenied(*exc.args)
    if isinstance(exc, DatabaseError):
        exc = locks.Contention() if locks.is_passing(exc) else as_refusal(exc) or exc
    fault = find_fault(exc)
    if fault is not None:
        log_fault(context["request"], fault, exc)
        return problem(503, fault.code, str(fault.detail)), {"Retry-After": str(fault.retry_after)}
    if isinstance(exc, locks.Contention):
        return problem(409, exc.code, str(exc)), {"Retry-After": "1"}
    if isinstance(exc, RequestDataTooBig):
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        return problem(413, "too_large", f"No more than {limit} bytes are taken."), {}
    if isinstance(exc, ValidationError):
        return _of_validation(exc, context), {}
    if isinstance(exc, exceptions.APIException):
        return _of_api_exception(exc), _headers(exc)
    return None


def _of_validation(exc: ValidationError, context: Mapping[str, Any]) -> dict[str, Any]:
    problems = [
        replace(row, pointer=_as_the_view_names_it(row.pointer, context))
        for row in _problems_of(exc)
    ]
    refusal = next((row for row in _leaves(exc) if isinstance(row, Refusal)), None)
    if refusal is None:
        return problem(400, problems[0].code, problems[0].detail, problems)
    status = next(
        (number for kind, number in STATUS_OF_REFUSALS.items() if isinstance(refusal, kind)), 400
    )
    return problem(
        status,
        refusal.code,
        str(refusal.message),
        problems,
        blockers=blockers_data(refusal, context.get("request")),
        remedies=remedies_data(refusal),
    )


def _leaves(exc: ValidationError) -> list[ValidationError]:
    if hasattr(exc, "error_dict"):
        return [leaf for leaves in exc.error_dict.values() for leaf in leaves]
    return list(exc.error_list)


def _problems_of(exc: ValidationError) -> Iterator[Problem]:
    by_field: Mapping[str, list[ValidationError]] = (
        exc.error_dict if hasattr(exc, "error_dict") else {NON_FIELD_ERRORS: exc.error_list}
    )
    for name, leaves in by_field.items():
        pointer = "" if name == NON_FIELD_ERRORS else below("", name)
        for leaf in leaves:
            if isinstance(leaf, Refusal) and leaf.problems:
                yield from leaf.problems
            else:
                yield Problem(pointer, leaf.code or "invalid", " ".join(leaf.messages))


def _as_the_view_names_it(pointer: str, context: Mapping[str, Any]) -> str:
    """Models name their own fields; a view may show one of them under another name."""
    names: Mapping[str, str] = getattr(context.get("view"), "pointer_names", {})
    first, *rest = pointer[1:].split("/")
    return "/".join(["", names[first], *rest]) if first in names else pointer


def _of_api_exception(exc: exceptions.APIException) -> dict[str, Any]:
    problems = list(_flattened(exc.detail, ""))
    if not problems:
        return problem(exc.status_code, exc.default_code, str(exc.default_detail))
    first = problems[0]
    return problem(exc.status_code, first.code, first.detail, problems)


def _flattened(detail: Any, pointer: str) -> Iterator[Problem]:
    """The leaves of REST framework's nested details, each with its JSON pointer."""
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            whole = key == api_settings.NON_FIELD_ERRORS_KEY
            yield from _flattened(value, pointer if whole else below(pointer, key))
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            nested = isinstance(value, (Mapping, list))
            yield from _flattened(value, below(pointer, index) if nested else pointer)
    else:
        yield Problem(pointer, getattr(detail, "code", None) or "invalid", str(detail))


def _headers(exc: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if auth_header := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = str(auth_header)
    if wait := getattr(exc, "wait", None):
        headers["Retry-After"] = str(math.ceil(wait))
    return headers


class ModelPermissions(BasePermission):
    """Django's model permissions, for reading too; a view's ``needs`` names others."""

    actions: ClassVar[dict[str, str]] = {
        "GET": "view",
        "HEAD": "view",
        "POST": "add",
        "PUT": "change",
        "PATCH": "change",
        "DELETE": "delete",
    }

    def has_permission(self, request: Request, view: Any) -> bool:
        """Say whether the user is known, and may do this to the view's model."""
        user: Any = request.user
        if not (user and user.is_authenticated):
            return False
        action = self.actions.get(str(request.method))
        if action is None:
            return True
        needed = getattr(view, "needs", None)
        queryset = getattr(view, "queryset", None)
        if needed is None and queryset is not None:
            options = queryset.model._meta
            needed = f"{options.app_label}.{action}_{options.model_name}"
        names = (needed,) if isinstance(needed, str) else needed or ()
        return all(user.has_perm(name) for name in names)
