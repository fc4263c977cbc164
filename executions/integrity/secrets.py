"""I9: every secret that a live version or the trigger of an active workflow uses exists."""

from __future__ import annotations

from collections.abc import Iterator

from executions.engine.secret_uses import active_webhooks, versions_naming_secrets
from executions.integrity.row_queries import read_rows
from executions.integrity.violation import Violation
from executions.models import Secret
from workflows.guards import find_secrets, find_trigger_secrets


def check_secrets() -> Iterator[Violation]:
    """Yield each use of a secret that does not exist (I9)."""
    versions, workflows = read_rows(versions_naming_secrets, active_webhooks)
    if not versions and not workflows:
        return
    existing = set(Secret._base_manager.values_list("name", flat=True))
    for version in versions:
        for name in sorted({name for _, name in find_secrets(version.source)} - existing):
            detail = f"“{version}” uses the secret “{name}”, which does not exist."
            yield _violation("version", version.cuid, name, detail, version.workflow_id)
    for row in workflows:
        used = find_trigger_secrets(row.trigger, row.trigger_data)
        for name in sorted({name for _, name in used} - existing):
            detail = f"The trigger of “{row}” uses the secret “{name}”, which does not exist."
            yield _violation("workflow", row.cuid, name, detail, row.pk)


def _violation(model: str, cuid: str, name: str, detail: str, workflow: int) -> Violation:
    remedy = f"Create the secret “{name}” under Secrets in the admin."
    return Violation("I9", model, cuid, detail, remedy=remedy, workflows=(workflow,))
