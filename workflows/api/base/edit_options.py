"""What every edit can be asked for beside itself: to be done once, or only to be tried.

``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header): a POST that is sent again with the
same key is done once, and answered as it was. ``dry_run``: the edit is made, and undone before it
is committed; the answer says what it would have been.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connections, transaction
from django.http import HttpResponse, HttpResponseBase
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from workflows.api.base.strict_fields import InstructionSerializer
from workflows.api.base.strict_requests import takes_parameters
from workflows.db import locks
from workflows.db.json_values import checksum, quoted, unstorable
from workflows.editing import idempotency
from workflows.editing.idempotency import Answer, Asked
from workflows.refusals import refusals_in

DB = "default"
REPEATED = "Idempotency-Replayed"
TRIED = "Dry-Run"
LONGEST = 255

DRY_RUN = OpenApiParameter(
    "dry_run", bool, description="Answer what would be answered, and change nothing."
)
ONCE = OpenApiParameter(
    "Idempotency-Key",
    location=OpenApiParameter.HEADER,
    description="A key of the client's own: the same request with the same key is done once, and "
    "answered as it was for 24 hours.",
)
MADE_ONCE = [ONCE, DRY_RUN]
ALLOW_UNKNOWN = OpenApiParameter(
    "allow_unknown", bool, description="Save a graph that names groups or users that do not exist."
)

_TEXT = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE = re.compile(r"[!#-~][!-~]*")
_CONTRADICTION = _("'dry_run' in the query and in the body contradict each other.")


class InvalidKey(APIException):
    """The header holds no key."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "invalid_idempotency_key"
    default_detail = (
        f"Idempotency-Key is a text of 1 to {LONGEST} printable characters, in quotes or without."
    )


class KeyReused(APIException):
    """The key has come before, with something else."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_code = "idempotency_key_reused"
    default_detail = "This Idempotency-Key has come before, with another request."


class KeyInUse(APIException):
    """The key is at work."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "idempotency_key_in_use"
    default_detail = "A request with this Idempotency-Key is under way; send it again in a moment."
    wait = 1


Act = Callable[[], HttpResponseBase]


def edit(handler: Callable[..., Response]) -> Callable[..., HttpResponseBase]:
    """Let a method of a view be tried, and, where it is a POST, be done once for each key."""

    @functools.wraps(handler)
    def editing(view: Any, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        def act() -> HttpResponseBase:
            # A handler may note there what it has made, and may be begun anew.
            view.kwargs = dict(kwargs)
            return handler(view, request, *args, **kwargs)

        if request.method == "DELETE":
            # Its body can hold nothing else; no handler reads it.
            InstructionSerializer(data=request.data).is_valid(raise_exception=True)
        if is_dry_run(request):
            return tried(act)
        asked = asked_once(request) if request.method == "POST" else None
        if asked is None:
            return handler(view, request, *args, **kwargs)
        with told_of_keys():
            answer = answered_once(view, asked, act)
        headers = {**answer.headers, **({REPEATED: "true"} if answer.is_repeated else {})}
        return HttpResponse(answer.body, status=answer.status, headers=headers)

    editing.can_be_tried = True  # type: ignore[attr-defined]
    return takes_parameters(DRY_RUN.name)(editing)


def only_tried(handler: Callable[..., Response]) -> Callable[..., HttpResponseBase]:
    """Let a method of a view be tried; its answer holds a secret, and is kept for no key."""

    @functools.wraps(handler)
    def editing(view: Any, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if is_dry_run(request):
            return tried(lambda: handler(view, request, *args, **kwargs))
        return handler(view, request, *args, **kwargs)

    editing.can_be_tried = True  # type: ignore[attr-defined]
    return takes_parameters(DRY_RUN.name)(editing)


# Tried


def is_dry_run(request: Request) -> bool:
    """Return whether the query, or a body that takes it, asks for nothing to be changed.

    Raises:
        ValidationError: as ``is_asked``.
    """
    return is_asked(request, "dry_run")


def is_asked(request: Request, name: str) -> bool:
    """Return whether the query, or a body that takes it, has this name as true.

    Raises:
        ValidationError: the value is neither true nor false, or query and body contradict.
    """
    given = request.query_params.get(name) if request.META.get("QUERY_STRING") else None
    if given not in (None, "true", "false"):
        detail = f"'{name}' is true or false, not {quoted(given)}."
        raise serializers.ValidationError({name: [detail]})
    in_body = request.data.get(name) if isinstance(request.data, Mapping) else None
    if given is None:
        return in_body is True
    if isinstance(in_body, bool) and in_body != (given == "true"):
        raise serializers.ValidationError({name: [_CONTRADICTION]})
    return given == "true"


@locks.retrying
def tried(act: Act) -> HttpResponseBase:
    """Make an edit and undo it; what is refused is not told to the audit log."""
    try:
        with transaction.atomic():
            response = act()
            connection = connections[DB]
            if connection.vendor == "postgresql":
                # What would be refused at the commit is refused here.
                connection.check_constraints()
            transaction.set_rollback(True)
    except ValidationError as error:
        for refusal in refusals_in(error):
            refusal.is_recorded = True
        raise
    if response.status_code != status.HTTP_204_NO_CONTENT:
        response.status_code = status.HTTP_200_OK
    for name in ("ETag", "Location"):
        response.headers.pop(name, None)
    response.headers[TRIED] = "true"
    return response


# Done once


def asked_once(request: Request) -> Asked | None:
    """What a request asks for by the key that it brings; None where it brings none.

    Raises:
        InvalidKey: the header is not as it should be.
    """
    header = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if header is None:
        return None
    path, meta = request.path, request.META
    fits = len(path) <= LONGEST and not unstorable(path)
    route = path if fits else checksum(repr(path))
    try:
        asked = checksum(request.data, meta.get("QUERY_STRING"), meta.get("HTTP_IF_MATCH"))
    except RecursionError:
        raise ParseError("The values are nested too deeply.") from None
    user: Any = request.user
    return Asked(user.pk, route, _key_in(header.strip()), asked)


def _key_in(header: str) -> str:
    text = _TEXT.fullmatch(header)
    key = re.sub(r"\\(.)", r"\1", text[1]) if text else header
    if not 1 <= len(key) <= LONGEST or not (text or _BARE.fullmatch(header)):
        raise InvalidKey
    return key


@contextmanager
def told_of_keys() -> Iterator[None]:
    """Let what is refused of a key come out as the error that answers it."""
    try:
        yield
    except idempotency.KeyReused as error:
        raise KeyReused from error
    except idempotency.KeyInUse as error:
        raise KeyInUse from error


def answered_once(view: Any, asked: Asked, act: Act) -> Answer:
    """Act and keep the answer, a refusal too, or return the one that was kept.

    Raises ``repeats.KeyReused``, ``repeats.KeyInUse``, and what is a fault of ``act``.
    """
    return idempotency.once(asked, lambda: _answer(view, act))


def _answer(view: Any, act: Act) -> Answer:
    try:
        with transaction.atomic():
            response: Any = act()
    except Exception as error:
        if locks.can_begin_anew(error):
            raise
        # Raises it again where it is no problem but a fault.
        response = view.handle_exception(error)
    headers = {
        name: value for name, value in response.headers.items() if name.lower() != "content-type"
    }
    headers["Content-Type"] = response.content_type or JSONRenderer.media_type
    body = "" if response.data is None else JSONRenderer().render(response.data).decode()
    return Answer(response.status_code, body, headers)
