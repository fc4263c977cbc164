"""Executions: start them, act on their steps, and read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from holdfast_client.models import Execution, ExecutionSummary, File, Step
from holdfast_client.resources import ReadOnly


class Executions(ReadOnly[Execution, ExecutionSummary]):
    """The resource ``executions/``."""

    def mine(self, **filters: Any) -> Iterator[ExecutionSummary]:
        """Yield the executions with a step that the account may do."""
        return self._read_pages(f"{self.path}mine/", filters)

    def steps(self, cuid: str) -> Iterator[Step]:
        """Yield the steps of an execution in the order of their visits."""
        return self._read_pages(self._path(cuid, "steps"), {})

    def start(
        self,
        workflow: str,
        entity: str,
        *,
        scheduled_for: datetime | str | None = None,
        key: str | None = None,
    ) -> Execution:
        """Start a workflow on an entity, now or at a time.

        Args:
            workflow: the cuid of the workflow.
            entity: the cuid of the finding or inventory model.
            scheduled_for: the time of a scheduled start.
            key: an idempotency key, if the caller repeats the call itself.
        """
        body = {"workflow": workflow, "entity": entity, "scheduled_for": _text(scheduled_for)}
        return self._post(self.path, body, key)

    def submit(self, cuid: str, node: str, data: Mapping[str, Any], **options: Any) -> Execution:
        """Submit the form of an open step."""
        return self.act(cuid, "submit", node=node, data=dict(data), **options)

    def upload(self, cuid: str, node: str, field: str, file: Path | tuple[str, bytes]) -> File:
        """Upload a file for a field of an open form; ``submit`` takes its ``cuid`` as the answer.

        Args:
            cuid: the execution.
            node: the id of the node where the form is open.
            field: the name of the field.
            file: the path of the file, or its name and content.

        Raises:
            Problem: among others ``file_too_large`` and ``invalid_upload``.
        """
        if isinstance(file, Path):
            file = (file.name, file.read_bytes())
        values = {"node": node, "field": field}
        response = self._transport.send("POST", self._path(cuid, "files"), form=values, file=file)
        found: File = response.json()
        return found

    def files(self, cuid: str) -> Iterator[File]:
        """Yield the submitted files of an execution, and the own files that are not submitted."""
        return self._read_pages(self._path(cuid, "files"), {})

    def download(self, cuid: str, file: str) -> bytes:
        """Return the content of a file.

        Raises:
            ValueError: the content has another checksum than the uploaded file.
        """
        path = self._path(cuid, "files", file)
        known: File = self._transport.send("GET", path).json()
        content = self._transport.send("GET", f"{path}content/").content
        if sha256(content).hexdigest() != known["sha256"]:
            raise ValueError(f"The content of the file {file} has another checksum.")
        return content

    def approve(self, cuid: str, node: str, notes: str = "") -> Execution:
        """Vote for approval."""
        return self.act(cuid, "approve", node=node, notes=notes)

    def reject(self, cuid: str, node: str, notes: str = "") -> Execution:
        """Vote for rejection."""
        return self.act(cuid, "reject", node=node, notes=notes)

    def cancel(self, cuid: str, why: str = "") -> Execution:
        """Cancel an execution and its live child executions."""
        return self.act(cuid, "cancel", why=why)

    def retry(self, cuid: str, node: str, why: str = "") -> Execution:
        """Retry a step with an incident."""
        return self.act(cuid, "retry", node=node, why=why)

    def skip(self, cuid: str, node: str, why: str, handle: str | None = None) -> Execution:
        """Close an open step, and continue by an exit."""
        return self.act(cuid, "skip", node=node, why=why, handle=handle)

    def postpone(self, cuid: str, node: str, until: datetime | str, why: str) -> Execution:
        """Move the date of a wait, or the deadline of a step."""
        return self.act(cuid, "postpone", node=node, until=_text(until), why=why)

    def act(self, cuid: str, action: str, *, key: str | None = None, **body: Any) -> Execution:
        """Send any action on an execution: ``POST executions/<cuid>/<action>/``."""
        return self._post(self._path(cuid, action), body, key)

    def _post(self, path: str, body: Mapping[str, Any], key: str | None) -> Execution:
        response = self._transport.send("POST", path, json=body, idempotency_key=key)
        execution: Execution = response.json()
        return execution


def _text(moment: datetime | str | None) -> str | None:
    return moment.isoformat() if isinstance(moment, datetime) else moment
