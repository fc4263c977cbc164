"""Forms whose action is done once, however often they are sent.

Each form has a token of its own. Its first POST is done and its answer kept, as the API keeps
answers to an ``Idempotency-Key``; a second POST is answered with the same redirect. A form that
comes back with errors, or that was refused, has done nothing: its token stays unused.
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

from workflows.admin.base.refusals import REFUSING, as_html, refusal_of
from workflows.db import locks
from workflows.db.json_values import checksum
from workflows.editing import idempotency
from workflows.editing.idempotency import Answer, Asked

FIELD = "_once"
CSRF = "csrfmiddlewaretoken"
WAIT_MS = 4_000
"""How long a second POST waits for the first one."""
DONE_BEFORE = _("This page was sent before. Its action was done once, not again.")
UNDER_WAY = _("The action is still in progress. Reload this page in a moment.")

_TOKEN = re.compile(r"[0-9a-f]{32}")
_LONGEST = 255


def once_input() -> SafeString:
    """Return the hidden input with a token; templates of forms write ``{{ once }}``."""
    return format_html('<input type="hidden" name="{}" value="{}">', FIELD, secrets.token_hex(16))


def forget_new_messages(request: HttpRequest) -> None:
    """Drop the messages of this request: the change that they announce was undone."""
    request._messages = default_storage(request)  # type: ignore[attr-defined]


def done_at(response: HttpResponse, address: str) -> HttpResponse:
    """Say of a page that is no redirect that its request was done.

    Args:
        response: the page, which may show something that is not kept.
        address: where a second POST is redirected to.

    Returns:
        The same response.
    """
    response.done_at = address  # type: ignore[attr-defined]
    return response


def answered_once(request: HttpRequest, view: Callable[[], HttpResponse]) -> HttpResponse:
    """Answer a POST, or repeat what its first one was answered.

    Args:
        view: answers the request; it is called again where the database asks for that.

    Returns:
        What ``view`` answers, or a redirect to where the first POST led.

    Raises:
        repeats.KeyReused: the form was sent before, with something else in it.
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
        address = _done_at(request, response)
        headers = {"Location": address} if address else {}
        return Answer(HttpResponseRedirect.status_code, "", headers, is_kept=bool(address))

    path = request.path
    route = path if len(path) <= _LONGEST else checksum(path)
    try:
        asked = Asked(user.pk, route, token, _checksum(request))
        answer = idempotency.once(asked, work, wait_ms=WAIT_MS)
    except idempotency.KeyInUse:
        messages.warning(request, UNDER_WAY)
        return HttpResponseRedirect(request.get_full_path())
    except REFUSING as error:
        if isinstance(error, locks.Contention):
            error.within_transaction = False
        refusal = refusal_of(error)
        if refusal is None:
            raise
        forget_new_messages(request)
        messages.error(request, as_html(refusal))
        return HttpResponseRedirect(request.get_full_path())
    if answer.is_repeated:
        messages.info(request, DONE_BEFORE)
        return HttpResponseRedirect(answer.headers["Location"])
    return found[0]


def _checksum(request: HttpRequest) -> str:
    sent = {name: values for name, values in request.POST.lists() if name not in (FIELD, CSRF)}
    return checksum(sent, request.get_full_path())


def _done_at(request: HttpRequest, response: HttpResponse) -> str:
    """Return the address that shows the result; empty if nothing was done."""
    if hasattr(response, "done_at"):
        return str(response.done_at)
    storage: Any = request._messages  # type: ignore[attr-defined]
    is_refused = any(one.level >= messages.ERROR for one in storage._queued_messages)
    return "" if is_refused else response.headers.get("Location", "")
