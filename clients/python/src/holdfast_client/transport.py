"""Requests that are sent again when the server asks for it, or when no response arrives."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from holdfast_client.errors import ConnectionFailed, problem_of

API = "/api/v1/"
LONGEST_PAUSE = 30.0
# The server may have processed the request before it failed.
_AMBIGUOUS = (500, 502, 503, 504)
_REFUSED_FOR_NOW = (409, 429)
# No connection existed, so that the server has not received the request.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
# The record is not as the request expects, perhaps because an earlier attempt has changed it.
_AFTER_OWN_EDIT = (404, 412)


class Transport:
    """Sends requests, and repeats them with growing pauses.

    A request that the server has not received or has refused for the moment is repeated. Without
    a response, a request may have been processed: only a GET, a POST with an ``Idempotency-Key``
    and an edit with ``If-Match`` are repeated then, because the server does them once.
    """

    def __init__(
        self,
        http: httpx.Client,
        *,
        attempts: int = 5,
        pause: float = 0.5,
        longest_pause: float = LONGEST_PAUSE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.http = http
        self._attempts = attempts
        self._pause = pause
        self._longest_pause = longest_pause
        self._sleep = sleep

    def send(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        file: tuple[str, bytes] | None = None,
        params: Mapping[str, Any] | None = None,
        if_match: str | None = None,
        idempotency_key: str | None = None,
        takes_key: bool = True,
    ) -> httpx.Response:
        """Send a request and return its successful response.

        Args:
            method: the method.
            path: the path below ``/api/v1/``.
            json: the body.
            form: the values of a form, instead of ``json``.
            file: the name and the content of the form's ``file``.
            params: the query; lists are repeated, and None is left out.
            if_match: the ETag that the change is based on.
            idempotency_key: the key of a POST; by default a new one.
            takes_key: False for the few POSTs that take no idempotency key.

        Raises:
            Problem: the server refused the request, or asks to wait longer than the longest pause.
            ConnectionFailed: no attempt got a response, or an edit may have been made without one.
        """
        headers = {}
        if method == "POST" and takes_key:
            headers["Idempotency-Key"] = f'"{idempotency_key or uuid.uuid4()}"'
        if if_match is not None:
            headers["If-Match"] = if_match
        request = self.http.build_request(
            method,
            API + path,
            json=json,
            data=form,
            files=None if file is None else {"file": file},
            params=_query(params),
            headers=headers,
        )
        is_done_once = method == "GET" or bool({"Idempotency-Key", "If-Match"} & headers.keys())
        may_be_done = False
        for attempt in range(1, self._attempts + 1):
            is_last = attempt == self._attempts
            try:
                response = self.http.send(request)
            except httpx.TransportError as error:
                was_sent = not isinstance(error, _NOT_SENT)
                if is_last or (was_sent and not is_done_once):
                    raise ConnectionFailed(f"{method} {request.url}: {error}") from error
                may_be_done |= was_sent
                self._sleep(self._backoff(attempt))
                continue
            if response.is_success:
                return response
            if may_be_done and if_match is not None and response.status_code in _AFTER_OWN_EDIT:
                detail = "a response was lost, and the edit may have been made."
                raise ConnectionFailed(f"{method} {request.url}: {detail}")
            is_ambiguous = response.status_code in _AMBIGUOUS
            may_repeat = is_done_once if is_ambiguous else _is_refused_for_now(response)
            problem = problem_of(response)
            pause = self._backoff(attempt) if problem.retry_after is None else problem.retry_after
            if is_last or not may_repeat or pause > self._longest_pause:
                raise problem
            may_be_done |= is_ambiguous
            self._sleep(pause)
        raise AssertionError("The last attempt returns or raises.")

    def _backoff(self, attempt: int) -> float:
        # Random, so that clients that failed together do not come back together.
        longest = min(self._longest_pause, self._pause * 2 ** (attempt - 1))
        return random.uniform(longest / 2, longest)


def _is_refused_for_now(response: httpx.Response) -> bool:
    """Return True if the server has done nothing, and the same request may succeed later."""
    status = response.status_code
    return status in _REFUSED_FOR_NOW and (status != 409 or "Retry-After" in response.headers)


def _query(params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not params:
        return None
    return {name: _text(value) for name, value in params.items() if value is not None}


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple, set)):
        return [_text(one) for one in value]
    return value.isoformat() if hasattr(value, "isoformat") else value
