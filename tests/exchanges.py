"""Exchanges of tests with the API, compared with the OpenAPI document by openapi-core."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from openapi_core import Config, OpenAPI
from openapi_core.templating.paths.exceptions import PathError
from openapi_core.templating.security.exceptions import SecurityNotFound
from openapi_core.testing import MockRequest, MockResponse

from tests.openapi import schema
from tests.workflows.api.clients import Client

CSV = "text/csv"
PROBLEM = "application/problem+json"


@cache
def described() -> Any:
    """Return the document for comparisons. Redocly checks that the document itself is valid."""
    # openapi-core knows only the media type application/json.
    readers: Any = {PROBLEM: json.loads}
    config = Config(spec_validator_cls=None, extra_media_type_deserializers=readers)
    return OpenAPI.from_dict(schema(), config=config)


class Exchanges:
    """The number of compared exchanges, and a sentence for each difference."""

    def __init__(self) -> None:
        self.count = 0
        self.differences: list[str] = []

    def compare(self, method: str, body: Any, response: Any) -> None:
        """Compare a response, and its request if it was accepted."""
        asked, media = response.wsgi_request, response.headers.get("Content-Type", "")
        is_partial = "fields" in asked.GET or media == CSV or response.streaming
        if method in ("HEAD", "OPTIONS") or is_partial:
            # Neither parts of records nor CSV are of the described type.
            return
        request = MockRequest(
            "http://testserver",
            method.lower(),
            asked.path,
            args=dict(asked.GET.lists()),
            headers=dict(asked.headers),
            cookies=asked.COOKIES,
            data=body if isinstance(body, bytes) else str(body).encode(),
            content_type=asked.content_type,
        )
        answer = MockResponse(
            response.content,
            status_code=response.status_code,
            headers=dict(response.headers),
            content_type=media,
        )
        errors = list(described().iter_response_errors(request, answer))
        if any(isinstance(error, PathError) for error in errors):
            # Tests also ask for what the API does not have.
            return
        # 207: an item was refused.
        if response.status_code < 400 and response.status_code != 207:
            errors += [
                error
                for error in described().iter_request_errors(request)
                # Test clients may be logged in without credentials.
                if not isinstance(error.__cause__ or error, SecurityNotFound)
                and not _has_only_read_only_members(error, response)
            ]
        for error in errors:
            cause = error.__cause__ or error
            rows = [row.message for row in getattr(cause, "schema_errors", ())]
            text = "; ".join(rows) or repr(cause)
            self.differences.append(
                f"{method} {asked.get_full_path()} {response.status_code}: {text}"
            )
        self.count += 1


def _has_only_read_only_members(error: Any, response: Any) -> bool:
    """Return True if a request differs only by read-only members.

    The introduction of the document says that they are accepted with their current values.
    """
    rows = getattr(error.__cause__, "schema_errors", ())
    return bool(rows) and all(
        row.validator == "additionalProperties"
        and all(
            name in row.schema["properties"] or name in response.json() for name in row.instance
        )
        for row in rows
    )


def compare_exchanges(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exchanges]:
    """Compare each exchange of a test, which fails in the end if one differs."""
    found = Exchanges()
    generic = Client.generic

    def send(self: Client, method: str, path: Any, data: Any = "", *args: Any, **more: Any) -> Any:
        response = generic(self, method, path, data, *args, **more)
        found.compare(method, data, response)
        return response

    monkeypatch.setattr(Client, "generic", send)
    yield found
    if found.differences:
        pytest.fail("\n".join(found.differences), pytrace=False)
