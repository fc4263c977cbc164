"""L9: every secret that a live version or the trigger of an active workflow uses exists."""

from __future__ import annotations

from collections.abc import Iterator

from executions.engine.secret_uses import active_webhooks, versions_naming_secrets
from executions.integrity.row_queries import read_rows
from executions.integrity.violation import Violation
from executions.models import Secret
from workflows.guards import secrets_in, secrets_of_trigger


def secrets() -> Iterator[Violation]:
    """L9: every secret that a live version or the trigger of an active workflow uses exists."""
    versions, workflows = read_rows(versions_naming_secrets, active_webhooks)
    if not versions and not workflows:
        return
    existing = set(Secret._base_manager.values_list("name", flat=True))
    for version in versions:
        for name in sorted({name for _, name in secrets_in(version.source)} - existing):
            detail = f"“{version}” uses the secret “{name}”, which does not exist."
            yield _of("version", version.cuid, name, detail, version.workflow_id)
    for row in workflows:
        named = secrets_of_trigger(row.trigger, row.trigger_data)
        for name in sorted({name for _, name in named} - existing):
            detail = f"“{row}” is started by the secret “{name}”, which does not exist."
            yield _of("workflow", row.cuid, name, detail, row.pk)


def _of(kind: str, cuid: str, name: str, detail: str, workflow: int) -> Violation:
    remedy = f"Create the secret “{name}” on the page of secrets in the admin."
    return Violation("L9", kind, cuid, detail, remedy=remedy, workflows=(workflow,))
