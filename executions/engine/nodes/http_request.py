"""The node that calls out by HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote, unquote, urlsplit

from django.utils.translation import gettext_lazy as _

from executions.engine import http_client, placeholders
from executions.engine.form_fields import FIELD_NAME
from executions.engine.nodes.behaviour import SAVE_TO, Behaviour, Visit
from executions.engine.nodes.tasks import GiveUp, Task, TryAgain
from executions.engine.rule_literals import ANY
from workflows.db.json_values import (
    InexactNumber,
    below,
    exact_float,
    quoted,
    storable,
    unstorable_in,
)
from workflows.graph import Problems

CALL = "call"
TIMEOUT = 10
SHOWN = 2000
_OWN_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "idempotency-key",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def _url_problems(url: str) -> Iterator[tuple[str, str]]:
    if reason := placeholders.problem(url) or _url_problem(url):
        yield "", reason


def _url_problem(url: str) -> str | None:
    if not url.isascii() or not url.isprintable():
        return "The address holds characters that must be written as %XX, or xn-- in a host."
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return f"The address {quoted(url)} cannot be read."
    if parts.scheme not in ("https", "http") or not parts.hostname or not has_port:
        return f"The address {quoted(url)} must begin with https:// and a host."
    if "{" in parts.netloc:
        return "Placeholders stand in the path and the query, not in the host."
    if "@" in parts.netloc:
        return "What proves who calls stands in a header, as a secret, not in the address."
    if parts.fragment or " " in placeholders.fill(url, {}):
        return f"The address {quoted(url)} holds a space, or a part that is never sent."
    return None


_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _header_problems(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        if name.lower() in _OWN_HEADERS:
            yield below("", name), f"The header {quoted(name)} is set by the call itself."
        elif reason := placeholders.problem(value, secrets=True):
            yield below("", name), reason


class HttpRequest(Behaviour):
    description = _(
        "Calls 'url' in the background, with retries; the answer may be saved to a field. "
        "A success is never sent again, whatever becomes of its answer. A process that is killed "
        "before it has noted the answer calls again, with the same 'Idempotency-Key': the cuid of "
        "the step."
    )
    name = "http_request"
    title = "HTTP request"
    can_begin_again = True
    schema: ClassVar = {
        "properties": {
            "method": {
                "title": "Method",
                "description": "What is asked for; GET and HEAD have no body.",
                "type": "string",
                "enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
                "default": "GET",
            },
            "url": {
                "title": "URL",
                "description": "The address, which begins with https:// and a host that the"
                " settings allow; {{name}} in its path or query stands for what a field holds.",
                "type": "string",
                "minLength": 1,
            },
            "headers": {
                "title": "Headers",
                "description": "Texts by their names; {{secret:NAME}} stands for a secret.",
                "type": "object",
                "propertyNames": {
                    "title": "Header name",
                    "description": "Letters, digits and !#$%&'*+.^_`|~- only.",
                    "pattern": r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$(?!\n)",
                },
                "additionalProperties": {"title": "Header", "type": "string"},
            },
            "body": {
                "title": "Body",
                "description": "A text, or JSON whose texts are filled in; one that is {{name}} and"
                " no more becomes what the field holds.",
            },
            "timeout": {
                "title": "Timeout",
                "description": "How many seconds the answer may take.",
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 60,
                "default": TIMEOUT,
            },
            "save_to": SAVE_TO,
        },
        "required": ["url"],
        "$defs": {"field_name": FIELD_NAME},
        "examples": [
            {
                "method": "POST",
                "url": "https://example.com/risks/{{id}}",
                "headers": {"Authorization": "Bearer {{secret:risks}}"},
                "body": {"severity": "{{severity}}"},
                "timeout": 20,
                "save_to": "risk",
            }
        ],
    }
    parts: ClassVar = {
        "url": _url_problems,
        "headers": _header_problems,
        "body": partial(placeholders.problems_in, secrets=True),
    }

    def problems(self, data: Mapping[str, Any]) -> Problems:
        """What is not sent has no place; which hosts may be called is the settings' to say."""
        method = data.get("method", "GET")
        if "body" in data and method in ("GET", "HEAD"):
            yield "/body", f"A {method} has no body."

    def field_types(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the field that the answer is saved to; it may hold anything."""
        if name := data.get("save_to"):
            yield name, ANY

    def secrets(self, data: Mapping[str, Any]) -> Problems:
        """Yield the secrets that the headers and the body send."""
        for key in ("headers", "body"):
            yield from placeholders.secrets_in(data.get(key), below("", key))

    def enter(self, visit: Visit) -> None:
        """Leave the call to the background."""
        data = visit.node.data
        texts = [data["url"], data.get("headers", {}), data.get("body")]
        visit.perform(CALL, placeholders.names_in(texts))

    def perform(self, task: Task) -> Any:
        """Make the call; what the answer is good for."""
        request = _request(task)
        try:
            answer = http_client.call(request, timeout=task.data.get("timeout", TIMEOUT))
        except http_client.Refused as refused:
            raise GiveUp(refused.code, task.redacted(refused.detail)) from None
        except http_client.Failed as failed:
            raise TryAgain("call_failed", str(failed)) from None
        if answer.status == 429 or answer.status >= 500:
            raise TryAgain(
                "call_failed",
                f"The answer was {answer.status}.",
                http_client.retry_after(answer.headers),
            )
        if not answer.is_success:
            raise GiveUp("call_refused", f"The answer was {answer.status}.")
        try:
            return _result(task, answer)
        except GiveUp:
            raise
        except Exception as error:
            # The request was done: it must not be sent again.
            detail = f"The answer was {answer.status}, but reading it failed"
            raise GiveUp("invalid_answer", f"{detail}: {type(error).__name__}.") from None

    def resume(self, visit: Visit, result: Any) -> None:
        """Save the answer, and go on."""
        if name := visit.node.data.get("save_to"):
            visit.write({name: result["value"]})
        visit.leave(output=result["output"])


def _request(task: Task) -> http_client.Request:
    data = task.data
    url = placeholders.fill(data["url"], task.fields, quote=lambda text: quote(text, safe=""))
    segments = urlsplit(url).path.split("/")
    if any(unquote(segment) in (".", "..") for segment in segments):
        raise GiveUp("invalid_url", "The address that the fields make leads to another path.")
    if any("\\" in unquote(segment) or "/" in unquote(segment) for segment in segments):
        # Servers disagree on where a path ends that holds an encoded slash.
        raise GiveUp("invalid_url", "A field in the path of the address holds a slash.")
    headers = {}
    for name, text in data.get("headers", {}).items():
        value = placeholders.fill(text, task.fields, secret=task.secret).strip()
        if reason := _unfit_for_header(value):
            raise GiveUp("invalid_header", f"The header {quoted(name)} would hold {reason}.")
        headers[name] = value
    body = None
    if "body" in data:
        filled = placeholders.fill_in(data["body"], task.fields, task.secret)
        is_text = isinstance(data["body"], str)
        text = placeholders.as_text(filled) if is_text else json.dumps(filled, ensure_ascii=False)
        body = text.encode("utf-8", "replace")
        if not any(name.lower() == "content-type" for name in headers):
            usual = "text/plain; charset=utf-8" if is_text else "application/json"
            headers["Content-Type"] = usual
    return http_client.Request(data.get("method", "GET"), url, headers, body, task.step)


def _unfit_for_header(text: str) -> str | None:
    """Say what of a text no header can hold, without the text: a secret may be in it."""
    if "\r" in text or "\n" in text:
        return "a line break"
    if any(char > "\xff" for char in text):
        return "a character outside Latin-1"
    return "a control character" if _CONTROLS.search(text) else None


def _result(task: Task, answer: http_client.Answer) -> dict[str, Any]:
    """Return what a success is good for: what the step shows of it, and the value to save.

    Raises:
        GiveUp: the value cannot be saved.
    """
    is_saved = "save_to" in task.data
    text, value = answer.text(), None
    if not answer.is_whole and is_saved:
        detail = f"The answer was {answer.status}, but did not arrive whole."
        raise GiveUp("invalid_answer", detail)
    if is_saved:
        value = storable(task.redacted(_value(answer, text)))
    output = {
        "status": answer.status,
        "body": storable(task.redaction().beginning(text or "", SHOWN)),
        "attempts": task.attempt,
    }
    if not answer.is_whole:
        output["truncated"] = True
    return {"output": output, "value": value}


def _value(answer: http_client.Answer, text: str | None) -> Any:
    if text is None:
        known = ", ".join(sorted(http_client.CHARSETS))
        detail = f"The answer is compressed, or in none of these charsets: {known}."
        raise GiveUp("invalid_answer", detail)
    media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not text.strip() or not (media == "application/json" or media.endswith("+json")):
        return text
    try:
        value = json.loads(text, parse_float=exact_float)
    except InexactNumber as error:
        raise GiveUp("invalid_answer", f"The answer cannot be saved. {error}.") from None
    except (ValueError, RecursionError):
        raise GiveUp("invalid_answer", "The answer says that it is JSON, and is not.") from None
    for __, detail in unstorable_in(value):
        raise GiveUp("invalid_answer", f"The answer cannot be saved. {detail}")
    return value
