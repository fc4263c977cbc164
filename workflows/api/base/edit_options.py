"""Options of every edit: idempotency and dry run.

``Idempotency-Key`` (draft-ietf-httpapi-idempotency-key-header): a POST that is repeated with the
same key is done once; the repetition receives the stored response. ``dry_run``: the edit is made
and rolled back; the response shows the result that it would have had.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import connection, transaction
from django.http import HttpResponse, HttpResponseBase
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from workflows.api.base.strict_fields import DryRunSerializer
from workflows.api.base.strict_requests import takes_parameters
from workflows.db import locks
from workflows.db.json_values import checksum, quoted, storage_problem
from workflows.db.prepared import ON_POSTGRESQL
from workflows.db.vendor import DATABASE
from workflows.editing import idempotency
from workflows.editing.idempotency import Answer, IdempotentRequest
from workflows.refusals import find_refusals

REPLAYED_HEADER = "Idempotency-Replayed"
DRY_RUN_HEADER = "Dry-Run"
MAX_KEY_LENGTH = 255

DRY_RUN = OpenApiParameter(
    "dry_run", bool, description="Return the response of the edit without changing anything."
)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    location=OpenApiParameter.HEADER,
    description="A key that the client chooses. A repeated request with the same key is not done "
    "again for 24 hours; it receives the stored response.",
)
EDIT_PARAMETERS = [IDEMPOTENCY_KEY, DRY_RUN]
ALLOW_UNKNOWN = OpenApiParameter(
    "allow_unknown",
    bool,
    description="Save a graph even if it names groups or users that do not exist.",
)

_TEXT = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE = re.compile(r"[!#-~][!-~]*")
_CONTRADICTION = _("'%(name)s' differs between the query and the body.")
_NOT_BOOLEAN = _("'%(name)s' must be true or false, not %(value)s.")


class InvalidKey(APIException):
    """The ``Idempotency-Key`` header is malformed."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_code = "invalid_idempotency_key"
    default_detail = _("Idempotency-Key must have 1 to 255 printable characters, quoted or not.")


class KeyReused(APIException):
    """The key was used for another request."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_code = "idempotency_key_reused"
    default_detail = _("This Idempotency-Key was used for a different request. Send a new key.")


class KeyInUse(APIException):
    """A request with the key is in progress."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "idempotency_key_in_use"
    default_detail = _("A request with this Idempotency-Key is in progress. Try again in a moment.")
    wait = 1


Act = Callable[[], HttpResponseBase]


class OneStatement:
    """Stores the response of an edit in the statement that does its work."""

    def __init__(self, request: IdempotentRequest) -> None:
        self._request = request
        self.answer: Answer | None = None

    def store(self, response: Response) -> list[Any]:
        """Return the row that the statement has to insert; see ``idempotency.row_of``."""
        self.answer = _render(response)
        return idempotency.row_of(self._request, self.answer)


def edit(
    handler: Callable[..., Response], *, in_statement: bool = False
) -> Callable[..., HttpResponseBase]:
    """Decorate a method of a view: it supports dry runs and, for POST, idempotency keys.

    Args:
        in_statement: the method takes ``once``. If it is a ``OneStatement``, the statement that
            does the work stores the response with it, or ``NeedsTransaction`` is raised.
    """

    @functools.wraps(handler)
    def editing(view: Any, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        def act(**options: Any) -> HttpResponseBase:
            # A handler may change the arguments, and may be repeated.
            view.kwargs = dict(kwargs)
            return handler(view, request, *args, **options, **kwargs)

        def act_in_statement(asked: IdempotentRequest) -> Answer:
            once = OneStatement(asked)
            act(once=once)
            assert once.answer is not None, "The work has not stored its answer."
            return once.answer

        if request.method == "DELETE":
            # No handler reads the body of a DELETE; it may have only ``dry_run``.
            DryRunSerializer(data=request.data).is_valid(raise_exception=True)
        if is_dry_run(request):
            return make_dry_run(act)
        asked = read_idempotency_key(request) if request.method == "POST" else None
        if asked is None:
            return handler(view, request, *args, **kwargs)
        with translate_key_errors():
            # SQLite has no statement that writes to several tables.
            can_store = in_statement and ON_POSTGRESQL
            in_one = functools.partial(act_in_statement, asked) if can_store else None
            answer = answer_once(view, asked, act, in_one)
        headers = {**answer.headers, **({REPLAYED_HEADER: "true"} if answer.is_repeated else {})}
        return HttpResponse(answer.body, status=answer.status, headers=headers)

    editing.supports_dry_run = True  # type: ignore[attr-defined]
    return takes_parameters(DRY_RUN.name)(editing)


def edit_without_replay(handler: Callable[..., Response]) -> Callable[..., HttpResponseBase]:
    """Decorate a method of a view whose response has a secret: dry runs, but no stored response."""

    @functools.wraps(handler)
    def editing(view: Any, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if is_dry_run(request):
            return make_dry_run(lambda: handler(view, request, *args, **kwargs))
        return handler(view, request, *args, **kwargs)

    editing.supports_dry_run = True  # type: ignore[attr-defined]
    return takes_parameters(DRY_RUN.name)(editing)


# Dry run


def is_dry_run(request: Request) -> bool:
    """Return True if the query or the body requests a dry run.

    Raises:
        ValidationError: see ``is_requested``.
    """
    return is_requested(request, "dry_run")


def is_requested(request: Request, name: str) -> bool:
    """Return True if an option of this name is true in the query or in the body.

    Raises:
        ValidationError: the value is neither true nor false, or the query and the body differ.
    """
    given = request.query_params.get(name) if request.META.get("QUERY_STRING") else None
    if given not in (None, "true", "false"):
        detail = _NOT_BOOLEAN % {"name": name, "value": quoted(given)}
        raise serializers.ValidationError({name: [detail]})
    in_body = request.data.get(name) if isinstance(request.data, Mapping) else None
    if given is None:
        return in_body is True
    if isinstance(in_body, bool) and in_body != (given == "true"):
        raise serializers.ValidationError({name: [_CONTRADICTION % {"name": name}]})
    return given == "true"


@locks.retrying
def make_dry_run(act: Act) -> HttpResponseBase:
    """Make an edit and roll it back; refusals are not recorded in the audit log."""
    try:
        with transaction.atomic():
            response = act()
            # A dry run reports what the commit would reject.
            DATABASE.check_deferred_keys(connection)
            transaction.set_rollback(True)
    except ValidationError as error:
        for refusal in find_refusals(error):
            refusal.is_recorded = True
        raise
    if response.status_code != status.HTTP_204_NO_CONTENT:
        response.status_code = status.HTTP_200_OK
    for name in ("ETag", "Location"):
        response.headers.pop(name, None)
    response.headers[DRY_RUN_HEADER] = "true"
    return response


# Idempotency


def read_idempotency_key(request: Request) -> IdempotentRequest | None:
    """Return the identity of a request with an idempotency key, or None without a key.

    Raises:
        InvalidKey: the header is malformed.
    """
    header = request.META.get("HTTP_IDEMPOTENCY_KEY")
    if header is None:
        return None
    path, meta = request.path, request.META
    fits = len(path) <= MAX_KEY_LENGTH and not storage_problem(path)
    route = path if fits else checksum(repr(path))
    try:
        asked = checksum(_content(request), meta.get("QUERY_STRING"), meta.get("HTTP_IF_MATCH"))
    except RecursionError:
        raise ParseError("The values are nested too deeply.") from None
    user: Any = request.user
    return IdempotentRequest(user.pk, route, _parse_key(header.strip()), asked)


def _content(request: Request) -> Any:
    """Return the body for a checksum: files by their own checksums."""
    data = request.data
    if not isinstance(data, MultiValueDict):
        return data
    return {
        name: [_checksum_of(one) if isinstance(one, UploadedFile) else one for one in row]
        for name, row in data.lists()
    }


def _checksum_of(file: UploadedFile) -> list[Any]:
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    return [file.name, digest.hexdigest()]


def _parse_key(header: str) -> str:
    text = _TEXT.fullmatch(header)
    key = re.sub(r"\\(.)", r"\1", text[1]) if text else header
    if not 1 <= len(key) <= MAX_KEY_LENGTH or not (text or _BARE.fullmatch(header)):
        raise InvalidKey
    return key


@contextmanager
def translate_key_errors() -> Iterator[None]:
    """Raise errors of idempotency keys as API errors."""
    try:
        yield
    except idempotency.KeyReused as error:
        raise KeyReused from error
    except idempotency.KeyInUse as error:
        raise KeyInUse from error


def answer_once(
    view: Any,
    asked: IdempotentRequest,
    act: Act,
    in_statement: Callable[[], Answer] | None = None,
) -> Answer:
    """Run ``act`` and store its response, even a refusal; or return the stored response.

    Args:
        in_statement: see ``idempotency.run_once``.

    Raises:
        idempotency.KeyReused: the key was used for another request.
        idempotency.KeyInUse: a request with the key is in progress.
        Exception: an unexpected error of ``act``; nothing is stored.
    """

    def work() -> Answer:
        # An error undoes all of it: ``run_once`` stores a refusal in a transaction of its own.
        with locks.one_unit():
            return _render(act())

    # ``handle_exception`` raises unexpected errors again.
    return idempotency.run_once(
        asked,
        work,
        refuse=lambda error: _render(view.handle_exception(error)),
        in_statement=in_statement,
    )


def _render(response: Any) -> Answer:
    headers = {
        name: value for name, value in response.headers.items() if name.lower() != "content-type"
    }
    headers["Content-Type"] = response.content_type or JSONRenderer.media_type
    body = "" if response.data is None else JSONRenderer().render(response.data).decode()
    return Answer(response.status_code, body, headers)
