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
_AMBIGUOUS = (500, 502, 504)
_REFUSED_FOR_NOW = (409, 429, 503)


class Transport:
    """Sends requests, and repeats them with growing pauses.

    A POST has an ``Idempotency-Key``, so that the server does it once however often it arrives.
    PUT, PATCH and DELETE are guarded by ``If-Match``.
    """

    def __init__(
        self,
        http: httpx.Client,
        *,
        attempts: int = 5,
        pause: float = 0.5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.http = http
        self._attempts = attempts
        self._pause = pause
        self._sleep = sleep

    def send(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        if_match: str | None = None,
        idempotency_key: str | None = None,
        is_repeatable: bool = True,
    ) -> httpx.Response:
        """Send a request and return its successful response.

        Args:
            method: the method.
            path: the path below ``/api/v1/``.
            json: the body.
            params: the query; lists are repeated, and None is left out.
            if_match: the ETag that the change is based on.
            idempotency_key: the key of a POST; by default a new one.
            is_repeatable: whether the request may be sent again. False for the few POSTs that take
                no idempotency key.

        Raises:
            Problem: the server refused the request.
            ConnectionFailed: no attempt got a response.
        """
        headers = {}
        if method == "POST" and is_repeatable:
            headers["Idempotency-Key"] = f'"{idempotency_key or uuid.uuid4()}"'
        if if_match is not None:
            headers["If-Match"] = if_match
        request = self.http.build_request(
            method, API + path, json=json, params=_query(params), headers=headers
        )
        for attempt in range(1, self._attempts + 1):
            is_last = attempt == self._attempts or not is_repeatable
            try:
                response = self.http.send(request)
            except httpx.TransportError as error:
                if is_last:
                    raise ConnectionFailed(f"{method} {request.url}: {error}") from error
                self._sleep(self._backoff(attempt))
                continue
            if response.is_success:
                return response
            if is_last or not _is_temporary(response):
                raise problem_of(response)
            self._sleep(self._wait_for(response, attempt))
        raise AssertionError("The last attempt returns or raises.")

    def _backoff(self, attempt: int) -> float:
        # Random, so that clients that failed together do not come back together.
        longest = min(LONGEST_PAUSE, self._pause * 2 ** (attempt - 1))
        return random.uniform(longest / 2, longest)

    def _wait_for(self, response: httpx.Response, attempt: int) -> float:
        text = response.headers.get("Retry-After", "")
        return float(text) if text.isdecimal() else self._backoff(attempt)


def _is_temporary(response: httpx.Response) -> bool:
    if response.status_code in _REFUSED_FOR_NOW:
        return response.status_code != 409 or "Retry-After" in response.headers
    return response.status_code in _AMBIGUOUS


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
