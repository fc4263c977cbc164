"""The node that calls another system by HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote, unquote, urlsplit

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.engine import http_client, placeholders
from executions.engine.nodes.behaviour import ERROR, FAILED, SAVE_TO, TIMEOUT, Visit
from executions.engine.nodes.deadline import (
    DEADLINE_DEFS,
    DEADLINE_PROPERTY,
    DeadlineBehaviour,
    deadline_problems,
    schedule_deadline,
)
from executions.engine.nodes.tasks import GiveUp, Task, TryAgain
from executions.engine.rule_literals import ANY
from workflows.db.json_values import (
    InexactNumber,
    below,
    exact_float,
    find_unstorable,
    make_storable,
    quoted,
)
from workflows.graph import Problems
from workflows.models.candidate import DEADLINE

CALL = "call"
SECONDS = 10
MAX_OUTPUT = 2000
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
        return gettext(
            "The address contains characters that must be written as %XX, or xn-- in a host."
        )
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return gettext("The address {url} cannot be read.").format(url=quoted(url))
    if parts.scheme not in ("https", "http") or not parts.hostname or not has_port:
        return gettext("The address {url} must start with https:// and a host.").format(
            url=quoted(url)
        )
    if "{" in parts.netloc:
        return gettext("Placeholders are allowed in the path and the query, not in the host.")
    if "@" in parts.netloc:
        return gettext(
            "Credentials are not allowed in the address. Send them in a header, as a secret."
        )
    if parts.fragment or " " in placeholders.fill(url, {}):
        return gettext("The address {url} contains a space or a fragment. Remove it.").format(
            url=quoted(url)
        )
    return None


_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _header_problems(headers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        if name.lower() in _OWN_HEADERS:
            yield (
                below("", name),
                gettext("The header {name} is set automatically. Remove it.").format(
                    name=quoted(name)
                ),
            )
        elif reason := placeholders.problem(value, secrets=True):
            yield below("", name), reason


class HttpRequest(DeadlineBehaviour):
    description = _(
        "Calls 'url' in the background, with retries. The response can be saved to a field. A "
        "request that succeeded is never repeated. If a worker is killed before it has stored the "
        "response, the call is repeated with the same 'Idempotency-Key': the cuid of the step. A "
        "call that has failed leaves by 'failed'; without such an edge, it has an incident."
    )
    name = "http_request"
    title = "HTTP request"
    can_be_retried = True
    optional_exits = (FAILED, TIMEOUT)
    schema: ClassVar = {
        "properties": {
            "method": {
                "title": "Method",
                "description": "The HTTP method. GET and HEAD have no body.",
                "type": "string",
                "enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
                "default": "GET",
            },
            "url": {
                "title": "URL",
                "description": "The address: https:// and a host that the setting"
                " HTTP_REQUEST_HOSTS allows. {{name}} in its path or query is replaced by the"
                " value of a field.",
                "type": "string",
                "minLength": 1,
            },
            "headers": {
                "title": "Headers",
                "description": "Header values by name. {{secret:NAME}} is replaced by a secret.",
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
                "description": "Text, or JSON. {{name}} is replaced by the value of a field,"
                " {{$name}} by that of a variable. A JSON text that is only {{name}} becomes the"
                " value itself, of any type.",
            },
            "timeout": {
                "title": "Timeout",
                "description": "The maximum duration of one attempt in seconds. The deadline covers"
                " all attempts.",
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 60,
                "default": SECONDS,
            },
            "save_to": SAVE_TO,
            DEADLINE: DEADLINE_PROPERTY,
        },
        "required": ["url"],
        "$defs": DEADLINE_DEFS,
        "examples": [
            {
                "method": "POST",
                "url": "https://example.com/risks/{{id}}",
                "headers": {"Authorization": "Bearer {{secret:risks}}"},
                "body": {"severity": "{{severity}}"},
                "timeout": 20,
                "save_to": "risk",
                "deadline": "PT12H",
            }
        ],
    }
    parts: ClassVar = {
        "url": _url_problems,
        "headers": _header_problems,
        "body": partial(placeholders.problems_in, secrets=True),
        DEADLINE: deadline_problems,
    }

    def problems(self, data: Mapping[str, Any]) -> Problems:
        """Refuse a body that is not sent. The allowed hosts are a setting, checked at run time."""
        method = data.get("method", "GET")
        if "body" in data and method in ("GET", "HEAD"):
            yield (
                "/body",
                gettext(
                    "{method} requests have no body. Remove it, or choose another method."
                ).format(method=method),
            )

    def field_types(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the field that the answer is saved to, and the error; their types are unknown."""
        yield f"${ERROR}", ANY
        if name := data.get("save_to"):
            yield name, ANY

    def read_names(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the fields and variables of the request, and those of the deadline."""
        for key in ("url", "headers", "body"):
            for name in sorted(placeholders.names_in(data.get(key))):
                yield below("", key), name
        yield from super().read_names(data)

    def secrets(self, data: Mapping[str, Any]) -> Problems:
        """Yield the secrets in the headers and the body."""
        for key in ("headers", "body"):
            yield from placeholders.find_secrets(data.get(key), below("", key))

    def enter(self, visit: Visit) -> None:
        """Let the background make the call."""
        data = visit.node.data
        texts = [data["url"], data.get("headers", {}), data.get("body")]
        visit.perform(CALL, placeholders.names_in(texts))
        schedule_deadline(visit)

    def perform(self, task: Task) -> Any:
        """Make the call; return the output and the value to save."""
        request = _request(task)
        try:
            answer = http_client.call(request, timeout=task.data.get("timeout", SECONDS))
        except http_client.CallRefused as refused:
            raise GiveUp(refused.code, task.redacted(refused.detail)) from None
        except http_client.CallFailed as failed:
            raise TryAgain("call_failed", str(failed)) from None
        if answer.status == 429 or answer.status >= 500:
            raise TryAgain(
                "call_failed",
                f"The response was {answer.status}.",
                http_client.retry_after(answer.headers),
            )
        if not answer.is_success:
            raise GiveUp("call_refused", f"The response was {answer.status}.")
        try:
            return _result(task, answer)
        except GiveUp:
            raise
        except Exception as error:
            # The server has performed the request: it must not be repeated.
            detail = f"The response was {answer.status}, but reading it failed"
            raise GiveUp("invalid_answer", f"{detail}: {type(error).__name__}.") from None

    def resume(self, visit: Visit, result: Any) -> None:
        """Save the answer and continue."""
        if name := visit.node.data.get("save_to"):
            visit.write_fields({name: result["value"]})
        visit.leave(output=result["output"])


def _request(task: Task) -> http_client.Request:
    data = task.data
    url = placeholders.fill(data["url"], task.fields, quote=lambda text: quote(text, safe=""))
    segments = urlsplit(url).path.split("/")
    if any(unquote(segment) in (".", "..") for segment in segments):
        raise GiveUp("invalid_url", "The fields in the address lead to another path.")
    if any("\\" in unquote(segment) or "/" in unquote(segment) for segment in segments):
        # Servers disagree on the path if it contains an encoded slash.
        raise GiveUp("invalid_url", "A field in the path of the address contains a slash.")
    headers = {}
    for name, text in data.get("headers", {}).items():
        value = placeholders.fill(text, task.fields, secret=task.secret).strip()
        if reason := _header_problem(value):
            raise GiveUp("invalid_header", f"The header {quoted(name)} would contain {reason}.")
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


def _header_problem(text: str) -> str | None:
    """Name the reason why a header cannot contain a text, without quoting a secret in it."""
    if "\r" in text or "\n" in text:
        return "a line break"
    if any(char > "\xff" for char in text):
        return "a character outside Latin-1"
    return "a control character" if _CONTROLS.search(text) else None


def _result(task: Task, answer: http_client.Answer) -> dict[str, Any]:
    """Return the output of the step, and the value to save.

    Raises:
        GiveUp: the value cannot be saved.
    """
    is_saved = "save_to" in task.data
    text, value = answer.text(), None
    if not answer.is_complete and is_saved:
        detail = f"The response was {answer.status}, but it is incomplete."
        raise GiveUp("invalid_answer", detail)
    if is_saved:
        value = make_storable(task.redacted(_value(answer, text)))
    output = {
        "status": answer.status,
        "body": make_storable(task.redaction().beginning(text or "", MAX_OUTPUT)),
        "attempts": task.attempt,
    }
    if not answer.is_complete:
        output["truncated"] = True
    return {"output": output, "value": value}


def _value(answer: http_client.Answer, text: str | None) -> Any:
    if text is None:
        known = ", ".join(sorted(http_client.CHARSETS))
        detail = f"The response is compressed, or its charset is not supported. Supported: {known}."
        raise GiveUp("invalid_answer", detail)
    media = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not text.strip() or not (media == "application/json" or media.endswith("+json")):
        return text
    try:
        value = json.loads(text, parse_float=exact_float)
    except InexactNumber as error:
        raise GiveUp("invalid_answer", f"The response cannot be saved. {error}.") from None
    except (ValueError, RecursionError):
        raise GiveUp(
            "invalid_answer", "The response is not the JSON that it claims to be."
        ) from None
    for __, detail in find_unstorable(value):
        raise GiveUp("invalid_answer", f"The response cannot be saved. {detail}")
    return value
