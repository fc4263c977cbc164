"""Forms that run their action once, even if they are submitted several times.

Each form has a random token. The response to the first POST is stored, as the API stores responses
to an ``Idempotency-Key``. A second POST gets the same redirect. A form that is shown again with
errors, or whose action is refused, leaves its token unused.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.messages.storage import default_storage
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from workflows.admin.base.refusals import REFUSING, refusal_html, refusal_of
from workflows.db import locks
from workflows.db.json_values import checksum
from workflows.editing import idempotency
from workflows.editing.idempotency import Answer, IdempotentRequest

FIELD = "_once"
CSRF = "csrfmiddlewaretoken"
WAIT_MS = 4_000
"""Milliseconds that a second POST waits for the first one."""
ALREADY_DONE = _("This form was already submitted. Its action ran once.")
IN_PROGRESS = _("The action is still in progress. Reload this page in a moment.")

_TOKEN = re.compile(r"[0-9a-f]{32}")
_LONGEST = 255


def token_input() -> SafeString:
    """Return the hidden input with a new token. Templates include it as ``{{ once }}``."""
    return format_html('<input type="hidden" name="{}" value="{}">', FIELD, secrets.token_hex(16))


def forget_new_messages(request: HttpRequest) -> None:
    """Discard the messages of this request because the change they announce was rolled back."""
    request._messages = default_storage(request)  # type: ignore[attr-defined]


def mark_done(response: HttpResponse, url: str) -> HttpResponse:
    """Mark a response that is not a redirect as the response to a completed action.

    Args:
        response: the page. It may show a value that is not stored, for example a secret.
        url: the page to which a second POST is redirected.

    Returns:
        The same response.
    """
    response.result_url = url  # type: ignore[attr-defined]
    return response


def answer_once(request: HttpRequest, view: Callable[[], HttpResponse]) -> HttpResponse:
    """Run a view once per form token.

    Args:
        view: returns the response. It runs again if the transaction is retried.

    Returns:
        The response of ``view``, or the redirect that the first POST was answered with.

    Raises:
        KeyReused: the token was used before with other form values.
    """
    user: Any = request.user
    token = request.POST.get(FIELD, "") if request.method == "POST" else ""
    if not _TOKEN.fullmatch(token) or user.pk is None or request.FILES:
        return view()
    found: list[HttpResponse] = []

    def work() -> Answer:
        forget_new_messages(request)
        response = view()
        found[:] = [response]
        url = _result_url(request, response)
        headers = {"Location": url} if url else {}
        return Answer(HttpResponseRedirect.status_code, "", headers, is_stored=bool(url))

    path = request.path
    route = path if len(path) <= _LONGEST else checksum(path)
    try:
        key = IdempotentRequest(user.pk, route, token, _checksum(request))
        answer = idempotency.run_once(key, work, wait_ms=WAIT_MS)
    except idempotency.KeyInUse:
        messages.warning(request, IN_PROGRESS)
        return HttpResponseRedirect(request.get_full_path())
    except REFUSING as error:
        if isinstance(error, locks.Contention):
            error.within_transaction = False
        refusal = refusal_of(error)
        if refusal is None:
            raise
        forget_new_messages(request)
        messages.error(request, refusal_html(refusal))
        return HttpResponseRedirect(request.get_full_path())
    if answer.is_repeated:
        messages.info(request, ALREADY_DONE)
        return HttpResponseRedirect(answer.headers["Location"])
    return found[0]


def _checksum(request: HttpRequest) -> str:
    sent = {name: values for name, values in request.POST.lists() if name not in (FIELD, CSRF)}
    return checksum(sent, request.get_full_path())


def _result_url(request: HttpRequest, response: HttpResponse) -> str:
    """Return the URL of the page with the result, or "" if the action was not completed."""
    if hasattr(response, "result_url"):
        return str(response.result_url)
    storage: Any = request._messages  # type: ignore[attr-defined]
    is_refused = any(one.level >= messages.ERROR for one in storage._queued_messages)
    return "" if is_refused else response.headers.get("Location", "")
