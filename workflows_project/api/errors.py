"""Errors of the API as problem details (RFC 9457)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS, RequestDataTooBig, ValidationError
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import DatabaseError
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.settings import api_settings

from executions.guards import (
    Claimed,
    ExcludedVoter,
    ExecutionEnded,
    NoIncident,
    NotAssigned,
    NotClaimed,
    NotOpen,
    SubscriptionDisabled,
)
from executions.services.claiming import NotClaimable
from executions.services.commenting import NotAuthor
from executions.services.moving import MoveRefused
from executions.services.postponing import NotPostponable
from executions.services.skipping import NotSkippable
from executions.services.stored_objects import FileMissing, StorageUnavailable
from executions.services.uploading import FileTooLarge
from workflows.api.base.refusal_json import serialize_blockers, serialize_remedies
from workflows.audit.log import record_refusal
from workflows.db import locks
from workflows.db.faults import find_fault
from workflows.db.json_values import below
from workflows.guards import NotOnHold, Stale, StaleToken, StaleVersion
from workflows.guards.database_errors import find_refusal
from workflows.refusals import Problem, Refusal
from workflows_project.api.database_faults import note_fault
from workflows_project.api.problems import CONTENT_TYPE, problem

STATUS_OF_REFUSALS: dict[type[Refusal], int] = {
    Stale: 409,
    StaleVersion: 409,
    StaleToken: 409,
    NotOnHold: 409,
    ExecutionEnded: 409,
    NotOpen: 409,
    NoIncident: 409,
    Claimed: 409,
    NotClaimed: 409,
    NotClaimable: 409,
    NotSkippable: 409,
    NotPostponable: 409,
    MoveRefused: 409,
    SubscriptionDisabled: 409,
    NotAssigned: 403,
    NotAuthor: 403,
    ExcludedVoter: 403,
    FileMissing: 404,
    FileTooLarge: 413,
    StorageUnavailable: 503,
}
"""The HTTP status of refusals, if it is not 400."""


def problem_response(exc: Exception, context: Mapping[str, Any]) -> Response | None:
    """Return the problem response for an exception of a view, None for an unexpected one (500)."""
    if isinstance(exc, ValidationError):
        for leaf in _leaves(exc):
            if isinstance(leaf, Refusal):
                record_refusal(leaf)
    described = _describe(exc, context)
    if described is None:
        return None
    request = context.get("request")
    if request is not None:
        # Problems are JSON, also from views that render HTML or YAML.
        request.accepted_renderer = JSONRenderer()
        request.accepted_media_type = CONTENT_TYPE
    body, headers = described
    response = Response(body, body["status"], headers=headers, content_type=CONTENT_TYPE)
    response.problem_code = body["code"]  # type: ignore[attr-defined]
    if body["status"] == 503:
        # The access log has the fault.
        response._has_been_logged = True  # type: ignore[attr-defined]
    return response


_Described = tuple[dict[str, Any], dict[str, str]]


def _describe(exc: Exception, context: Mapping[str, Any]) -> _Described | None:
    if isinstance(exc, Http404):
        exc = exceptions.NotFound(*exc.args)
    elif isinstance(exc, DjangoPermissionDenied):
        exc = exceptions.PermissionDenied(*exc.args)
    if isinstance(exc, DatabaseError):
        exc = locks.Contention() if locks.is_transient(exc) else find_refusal(exc) or exc
    fault = find_fault(exc)
    if fault is not None:
        note_fault(context["request"], fault, exc)
        return problem(503, fault.code, str(fault.detail)), {"Retry-After": str(fault.retry_after)}
    if isinstance(exc, locks.Contention):
        return problem(409, exc.code, str(exc)), {"Retry-After": "1"}
    if isinstance(exc, RequestDataTooBig):
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        detail = _("The body is larger than %(limit)s bytes.") % {"limit": limit}
        return problem(413, "too_large", detail), {}
    if isinstance(exc, ValidationError):
        return _of_validation(exc, context), {}
    if isinstance(exc, exceptions.APIException):
        return _of_api_exception(exc), _headers(exc)
    return None


def _of_validation(exc: ValidationError, context: Mapping[str, Any]) -> dict[str, Any]:
    problems = [
        replace(row, pointer=_pointer_in_view(row.pointer, context)) for row in _problems_of(exc)
    ]
    refusal = next((row for row in _leaves(exc) if isinstance(row, Refusal)), None)
    if refusal is None:
        return problem(400, problems[0].code, problems[0].detail, problems)
    status = next(
        (code for cls, code in STATUS_OF_REFUSALS.items() if isinstance(refusal, cls)), 400
    )
    return problem(
        status,
        refusal.code,
        str(refusal.message),
        problems,
        blockers=serialize_blockers(refusal, context.get("request")),
        remedies=serialize_remedies(refusal),
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


def _pointer_in_view(pointer: str, context: Mapping[str, Any]) -> str:
    """Return the pointer with the name that the view gives to the model field."""
    names: Mapping[str, str] = getattr(context.get("view"), "pointer_names", {})
    first, *rest = pointer[1:].split("/")
    return "/".join(["", names[first], *rest]) if first in names else pointer


def _of_api_exception(exc: exceptions.APIException) -> dict[str, Any]:
    problems = list(_flatten(exc.detail, ""))
    if not problems:
        return problem(exc.status_code, exc.default_code, str(exc.default_detail))
    first = problems[0]
    return problem(exc.status_code, first.code, first.detail, problems)


def _flatten(detail: Any, pointer: str) -> Iterator[Problem]:
    """Yield the leaves of REST framework's nested details with their JSON pointers."""
    if isinstance(detail, Mapping):
        for key, value in detail.items():
            is_root = key == api_settings.NON_FIELD_ERRORS_KEY
            yield from _flatten(value, pointer if is_root else below(pointer, key))
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            nested = isinstance(value, (Mapping, list))
            yield from _flatten(value, below(pointer, index) if nested else pointer)
    else:
        yield Problem(pointer, getattr(detail, "code", None) or "invalid", str(detail))


def _headers(exc: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if auth_header := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = str(auth_header)
    if wait := getattr(exc, "wait", None):
        headers["Retry-After"] = str(math.ceil(wait))
    return headers
