"""Collections of records: read, list, create, change and delete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl, quote, urlsplit

from holdfast_client.errors import PreconditionFailed
from holdfast_client.transport import Transport

Record = TypeVar("Record")
Row = TypeVar("Row")
New = TypeVar("New")
Patch = TypeVar("Patch")

EDIT_ATTEMPTS = 5


class ReadOnly(Generic[Record, Row]):
    """A collection that is only read."""

    def __init__(self, transport: Transport, path: str) -> None:
        self._transport = transport
        self.path = path

    def get(self, cuid: str) -> Record:
        """Return a record."""
        record: Record = self._transport.send("GET", self._path(cuid)).json()
        return record

    def list(self, **filters: Any) -> Iterator[Row]:
        """Yield all records that match the filters, page by page.

        A filter with several values is a list. Names with a dot are passed as ``**{…}``:
        ``findings.list(**{"fields.severity__in": ["high", "critical"]})``.
        """
        return self._read_pages(self.path, filters)

    def count(self, **filters: Any) -> int | None:
        """Return the number of records that match the filters; None if there are very many."""
        page = self._transport.send("GET", self.path, params={**filters, "page_size": 1}).json()
        number: int | None = page["count"]
        return number

    def _read_pages(self, path: str, filters: Mapping[str, Any]) -> Iterator[Any]:
        params: Mapping[str, Any] = {"page_size": 200, **filters}
        while True:
            page = self._transport.send("GET", path, params=params).json()
            yield from page["results"]
            if page["next"] is None:
                return
            # Only the query, so that the token is never sent to another host.
            pairs = parse_qsl(urlsplit(page["next"]).query)
            params = {name: [v for n, v in pairs if n == name] for name, _ in pairs}

    def _path(self, cuid: str, *parts: str) -> str:
        return self.path + "".join(f"{quote(part, safe='')}/" for part in (cuid, *parts))


class Editable(ReadOnly[Record, Row], Generic[Record, Row, New, Patch]):
    """A collection whose records are created, changed and deleted."""

    takes_keys = True

    def create(self, values: New, *, key: str | None = None) -> Record:
        """Create a record and return it.

        Args:
            values: the record.
            key: an idempotency key, if the caller repeats the call itself.
        """
        response = self._transport.send(
            "POST", self.path, json=values, idempotency_key=key, takes_key=self.takes_keys
        )
        record: Record = response.json()
        return record

    def get_with_etag(self, cuid: str) -> tuple[Record, str]:
        """Return a record and its ETag, for ``update`` and ``delete``."""
        response = self._transport.send("GET", self._path(cuid))
        return response.json(), response.headers["ETag"]

    def update(self, cuid: str, changes: Patch, *, etag: str) -> Record:
        """Change members of a record and return it.

        Raises:
            PreconditionFailed: the record has changed since its ETag was read.
        """
        response = self._transport.send("PATCH", self._path(cuid), json=changes, if_match=etag)
        record: Record = response.json()
        return record

    def edit(self, cuid: str, change: Callable[[Record], Patch]) -> Record:
        """Read a record, and write the changes that a function computes from it.

        If somebody else changes the record meanwhile, it is read and computed again.
        """
        for _ in range(EDIT_ATTEMPTS - 1):
            record, etag = self.get_with_etag(cuid)
            try:
                return self.update(cuid, change(record), etag=etag)
            except PreconditionFailed:
                continue
        record, etag = self.get_with_etag(cuid)
        return self.update(cuid, change(record), etag=etag)

    def delete(self, cuid: str, *, etag: str | None = None) -> None:
        """Delete a record, if it has not changed since its ETag was read."""
        self._transport.send("DELETE", self._path(cuid), if_match=etag)
