"""What the pages of the admin cost as executions grow from a thousand to a million.

    python -m benchmarks.pages
    python -m benchmarks.pages --database sqlite --executions 100000

Each page is asked for by somebody who may do everything and for whom every form waits, on a
database of 1,000 executions and on the largest in turns. One live execution in ten has an
incident, one in ten is overdue. What is claimed is the ratio of the medians, and that no page
takes more than 25 statements; the ratio of the 95th percentiles stands beside it.

Exit 1 when a claimed ratio is above 3, or a page takes too many statements.
"""

from __future__ import annotations

import sys

from benchmarks.lists import BASE, Request, compared
from benchmarks.population import BUSY, HOT, workflow_id

LIMIT = 3.0
MOST_STATEMENTS = 25

EXECUTIONS = "executions/execution/"
HOT_ONE, BUSY_ONE = workflow_id(HOT, 0), workflow_id(BUSY, 0)
PATHS = {
    "home": "",
    "inbox": f"{EXECUTIONS}inbox/",
    "inbox, second page": f"{EXECUTIONS}inbox/?p=2",
    "executions": EXECUTIONS,
    "tenth page": f"{EXECUTIONS}?p=10",
    "live": f"{EXECUTIONS}?live=yes",
    "of a status": f"{EXECUTIONS}?status__exact=failed",
    "of a workflow": f"{EXECUTIONS}?workflow={HOT_ONE}&live=yes",
    "with an incident": f"{EXECUTIONS}?incident=yes",
    "overdue": f"{EXECUTIONS}?overdue=yes",
    "waiting for me": f"{EXECUTIONS}?mine=yes",
    "search of a cuid": f"{EXECUTIONS}?q={{cuid}}",
    "search of a title": f"{EXECUTIONS}?q=25",
    "an execution": f"{EXECUTIONS}{{live}}/change/",
    "an execution that has ended": f"{EXECUTIONS}{{ended}}/change/",
    "cancel": f"{EXECUTIONS}{{live}}/cancel/",
    "start": f"{EXECUTIONS}start/{BUSY_ONE}/",
    "workflows": "workflows/workflow/",
    "a workflow": f"workflows/workflow/{BUSY_ONE}/change/",
    "a workflow that much is live of": f"workflows/workflow/{HOT_ONE}/change/",
    "its graph": f"workflows/workflow/{BUSY_ONE}/edit/",
    "comparison": f"workflows/workflow/{BUSY_ONE}/compare/",
    "change of type": f"workflows/workflow/change-type/?workflows={BUSY_ONE}",
    "history": f"workflows/workflow/{BUSY_ONE}/history/",
    "versions": "workflows/version/",
    "a version": "workflows/version/{version}/change/",
    "finding types": "workflows/findingtype/",
    "a finding type": "workflows/findingtype/{kind}/change/",
    "changes on hold": "workflows/pendingchange/",
    "audit log": "workflows/auditentry/",
    "findings": "executions/finding/",
    "a finding": "executions/finding/{finding}/change/",
    "bulk operations": "executions/bulkoperation/",
    "webhooks": "executions/subscription/",
    "deliveries": "executions/outgoingdelivery/",
}


class Desk:
    """Somebody at the admin of one database, and what the paths name there."""

    def __init__(self) -> None:
        from django.contrib.auth import get_user_model
        from django.test import Client

        from executions.models import Execution
        from workflows.models import FindingType, Workflow

        user = get_user_model().objects.create_superuser("operator")
        self.client = Client(SERVER_NAME="localhost")
        self.client.force_login(user)
        _trouble()
        live = Execution.objects.filter(workflow=BUSY_ONE).live().first()
        ended = Execution.objects.filter(status="completed").first()
        assert live is not None and ended is not None
        self.named = {
            "cuid": live.cuid,
            "live": live.pk,
            "ended": ended.pk,
            "finding": live.entity_id,
            "version": live.version_id,
            "kind": FindingType.objects.values_list("pk", flat=True)[0],
            "workflow": Workflow.objects.values_list("pk", flat=True)[0],
        }

    def get(self, request: Request) -> None:
        response = self.client.get(request.path.format(**self.named))
        assert response.status_code == 200, (request.name, response.status_code)
        assert b"".join(response).strip(), request.name


def _trouble() -> None:
    """An incident in one open form of ten, and a deadline that has passed in another."""
    from django.db import connection

    open_form = "state = 'open' AND type = 'user_action'"
    incident = """'{"code": "step_failed", "detail": "It could not be reached."}'"""
    with connection.cursor() as cursor:
        for change in (
            f"UPDATE executions_step SET state = 'incident', incident = {incident}"
            f" WHERE {open_form} AND execution_id % 10 = 1",
            f"UPDATE executions_step SET overdue = true, due_at = opened_at"
            f" WHERE {open_form} AND execution_id % 10 = 2",
        ):
            cursor.execute(change)
        cursor.execute("ANALYZE executions_step")


def pages() -> list[Request]:
    """The pages that somebody looks at, from the home page on."""
    return [
        Request(name, f"/admin/{path}", limit=LIMIT, percent=50, most_statements=MOST_STATEMENTS)
        for name, path in PATHS.items()
    ]


if __name__ == "__main__":
    sys.exit(compared(__doc__, pages(), (BASE,), Desk))
