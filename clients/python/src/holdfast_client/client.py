"""The client: one attribute for each collection of the API."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeAlias, TypeVar

import httpx

from holdfast_client import models
from holdfast_client.executions import Executions
from holdfast_client.resources import Editable, ReadOnly
from holdfast_client.transport import LONGEST_PAUSE, Transport

Kind = TypeVar("Kind")
New = TypeVar("New")
Patch = TypeVar("Patch")


class _Same(Editable[Kind, Kind, New, Patch], Generic[Kind, New, Patch]):
    """A collection whose lists have whole records."""


class Findings(_Same[models.Finding, models.FindingRequest, models.FindingPatchRequest]):
    """The resource ``findings/``."""

    def save_many(
        self, items: Iterable[models.FindingRequest], *, size: int = 200
    ) -> Iterator[models.FindingResult]:
        """Create findings, or change those with the same type and external id.

        Yield the result of each; items that fail do not stop the others.
        """
        rows = list(items)
        for start in range(0, len(rows), size):
            body = {"items": rows[start : start + size]}
            response = self._transport.send("POST", f"{self.path}bulk/", json=body)
            yield from response.json()["results"]


class Workflows(_Same[models.Workflow, models.WorkflowRequest, models.WorkflowPatchRequest]):
    """The resource ``workflows/``."""

    def versions(self, cuid: str) -> Iterator[models.Version]:
        """Yield the versions of a workflow, latest first."""
        return self._read_pages(self._path(cuid, "versions"), {})

    def version(self, cuid: str, number: int) -> models.VersionWithGraph:
        """Return a version with its graph."""
        path = self._path(cuid, str(number))
        found: models.VersionWithGraph = self._transport.send("GET", path).json()
        return found

    def save_graph(
        self, cuid: str, graph: models.SaveGraphRequest, *, based_on: int
    ) -> models.VersionWithGraph:
        """Save a graph that is based on the latest version.

        Raises:
            Conflict: there is a later version (``stale_version``).
        """
        path = self._path(cuid, str(based_on))
        saved: models.VersionWithGraph = self._transport.send("POST", path, json=graph).json()
        return saved


class Webhooks(_Same[models.Webhook, models.WebhookRequest, models.WebhookPatchRequest]):
    """The resource ``webhooks/``."""

    # The response has a secret, which the server does not store for a repetition.
    takes_keys = False

    def create(self, values: models.WebhookRequest, *, key: str | None = None) -> Any:
        """Create a webhook. Only this response has its ``secret``."""
        return super().create(values, key=key)


FindingTypes: TypeAlias = _Same[
    models.FindingType, models.FindingTypeRequest, models.FindingTypePatchRequest
]
RecordTypes: TypeAlias = _Same[
    models.RecordType, models.RecordTypeRequest, models.RecordTypePatchRequest
]
InventoryModels: TypeAlias = _Same[
    models.InventoryModel, models.InventoryModelRequest, models.InventoryModelPatchRequest
]


class Holdfast:
    """A client of one Holdfast server. It may be used by several threads.

    >>> client = Holdfast("https://holdfast.example", token)
    >>> for execution in client.executions.list(status=["waiting", "active"]):
    ...     print(execution["cuid"])

    Args:
        url: the URL of the server.
        token: the token of the account.
        timeout: how long to wait for a response, in seconds.
        attempts: how often to send a request that fails for the moment.
        longest_pause: the longest pause between two attempts, in seconds. A problem whose
            ``retry_after`` is longer is raised at once.
        http: an own ``httpx.Client``, for example with a proxy or certificates.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout: float = 30,
        attempts: int = 5,
        longest_pause: float = LONGEST_PAUSE,
        http: httpx.Client | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        client = http or httpx.Client(timeout=timeout)
        client.base_url = httpx.URL(url.rstrip("/") + "/")
        client.headers["Authorization"] = f"Bearer {token}"
        client.headers["Accept"] = "application/json"
        more: dict[str, Any] = {"sleep": sleep} if sleep else {}
        self.transport = Transport(client, attempts=attempts, longest_pause=longest_pause, **more)
        self.executions = Executions(self.transport, "executions/")
        self.findings = Findings(self.transport, "findings/")
        self.finding_types: FindingTypes = _Same(self.transport, "finding-types/")
        self.inventory_models: InventoryModels = _Same(self.transport, "inventory-models/")
        self.record_types: RecordTypes = _Same(self.transport, "record-types/")
        self.workflows = Workflows(self.transport, "workflows/")
        self.webhooks = Webhooks(self.transport, "webhooks/")
        self.audit: ReadOnly[models.AuditEntry, models.AuditEntry] = ReadOnly(
            self.transport, "audit/"
        )

    @classmethod
    def log_in(
        cls,
        url: str,
        username: str,
        password: str,
        *,
        name: str = "",
        scopes: Iterable[str] | None = None,
        http: httpx.Client | None = None,
    ) -> Holdfast:
        """Return a client with a new token of an account, which expires after some hours.

        Args:
            url: the URL of the server.
            username: the name of the account.
            password: its password.
            name: the name of the token.
            scopes: the scopes of the token; None for all.
            http: an own ``httpx.Client``.
        """
        client = http or httpx.Client(timeout=30)
        client.base_url = httpx.URL(url.rstrip("/") + "/")
        credentials = base64.b64encode(f"{username}:{password}".encode()).decode()
        client.headers["Authorization"] = f"Basic {credentials}"
        body = {"name": name, "scopes": None if scopes is None else list(scopes)}
        transport = Transport(client)
        token = transport.send("POST", "tokens/", json=body, takes_key=False).json()["token"]
        return cls(url, token, http=client)

    def status(self) -> models.Status:
        """Return the version, the database and the workers of the server."""
        found: models.Status = self.transport.send("GET", "status/").json()
        return found

    def me(self) -> models.Me:
        """Return the account, with its roles and permissions."""
        found: models.Me = self.transport.send("GET", "me/").json()
        return found

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        if_match: str | None = None,
        key: str | None = None,
    ) -> Any:
        """Send a request to any route below ``/api/v1/``, and return the body of the response."""
        response = self.transport.send(
            method, path, json=json, params=params, if_match=if_match, idempotency_key=key
        )
        return response.json() if response.content else None

    def close(self) -> None:
        """Close the connections."""
        self.transport.http.close()

    def __enter__(self) -> Holdfast:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
