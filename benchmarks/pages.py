"""Cost of the admin pages, from a thousand to a million executions.

    python -m benchmarks.pages
    python -m benchmarks.pages --database sqlite --executions 100000

A superuser, who can submit every form, requests each page on a database of 1,000 executions and on
the largest in turn. One live execution in ten has an incident, one in ten is overdue. The result is
the ratio of the medians, and the number of statements (25 at most).

Exits with 1 if a claimed ratio is above 3, or a page takes too many statements.
"""

from __future__ import annotations

import sys

from benchmarks.lists import BASE, Request, compare
from benchmarks.population import BUSY, HOT, workflow_id

LIMIT = 3.0
MOST_STATEMENTS = 25

EXECUTIONS = "executions/execution/"
HOT_ONE, BUSY_ONE = workflow_id(HOT, 0), workflow_id(BUSY, 0)
PATHS = {
    "home": "",
    "inbox": f"{EXECUTIONS}inbox/",
    "inbox, second page": f"{EXECUTIONS}inbox/?p=2",
    "inbox, a workflow": f"{EXECUTIONS}inbox/?workflow={HOT_ONE}",
    "inbox, a finding type": f"{EXECUTIONS}inbox/?type={{type}}",
    "executions": EXECUTIONS,
    "tenth page": f"{EXECUTIONS}?p=10",
    "live": f"{EXECUTIONS}?live=yes",
    "of a status": f"{EXECUTIONS}?status__exact=failed",
    "of a workflow": f"{EXECUTIONS}?workflow={HOT_ONE}&live=yes",
    "with an incident": f"{EXECUTIONS}?incident=yes",
    "overdue": f"{EXECUTIONS}?overdue=yes",
    "assigned to me": f"{EXECUTIONS}?mine=yes",
    "search of a cuid": f"{EXECUTIONS}?q={{cuid}}",
    "search of a title": f"{EXECUTIONS}?q=25",
    "an execution": f"{EXECUTIONS}{{live}}/change/",
    "an ended execution": f"{EXECUTIONS}{{ended}}/change/",
    "reports": f"{EXECUTIONS}reports/?period=365",
    "reports of a workflow": f"{EXECUTIONS}reports/?period=365&workflow={HOT_ONE}",
    "cancel": f"{EXECUTIONS}{{live}}/cancel/",
    "start": f"{EXECUTIONS}start/{BUSY_ONE}/",
    "workflows": "workflows/workflow/",
    "a workflow": f"workflows/workflow/{BUSY_ONE}/change/",
    "a workflow with many live executions": f"workflows/workflow/{HOT_ONE}/change/",
    "its graph": f"workflows/workflow/{BUSY_ONE}/edit/",
    "comparison": f"workflows/workflow/{BUSY_ONE}/compare/",
    "change of type": f"workflows/workflow/change-type/?workflows={BUSY_ONE}",
    "history": f"workflows/workflow/{BUSY_ONE}/history/",
    "versions": "workflows/version/",
    "a version": "workflows/version/{version}/change/",
    "finding types": "workflows/findingtype/",
    "a finding type": "workflows/findingtype/{type}/change/",
    "changes on hold": "workflows/pendingchange/",
    "audit log": "workflows/auditentry/",
    "findings": "executions/finding/",
    "a finding": "executions/finding/{finding}/change/",
    "bulk operations": "executions/bulkoperation/",
    "webhooks": "executions/subscription/",
    "deliveries": "executions/outgoingdelivery/",
}


class AdminClient:
    """A superuser in the admin of one database, with the values for placeholders of paths."""

    def __init__(self) -> None:
        from django.contrib.auth import get_user_model
        from django.test import Client

        from executions.models import Execution
        from workflows.models import FindingType, Workflow

        user = get_user_model().objects.create_superuser("operator")
        self.client = Client(SERVER_NAME="localhost")
        self.client.force_login(user)
        _create_incidents()
        live = Execution.objects.filter(workflow=BUSY_ONE).live().first()
        ended = Execution.objects.filter(status="completed").first()
        assert live is not None and ended is not None
        self.values = {
            "cuid": live.cuid,
            "live": live.pk,
            "ended": ended.pk,
            "finding": live.entity_id,
            "version": live.version_id,
            "type": FindingType.objects.values_list("pk", flat=True)[0],
            "workflow": Workflow.objects.values_list("pk", flat=True)[0],
        }

    def get(self, request: Request) -> None:
        response = self.client.get(request.path.format(**self.values))
        assert response.status_code == 200, (request.name, response.status_code)
        assert b"".join(response).strip(), request.name


def _create_incidents() -> None:
    """Give one open form in ten an incident, and another one an overdue deadline."""
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
    """Return the requests of the pages."""
    return [
        Request(name, f"/admin/{path}", limit=LIMIT, percent=50, most_statements=MOST_STATEMENTS)
        for name, path in PATHS.items()
    ]


if __name__ == "__main__":
    sys.exit(compare(__doc__, pages(), (BASE,), AdminClient))
