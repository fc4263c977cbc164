"""Calls with the client that openapi-python-client generates: no cast, no ``Any``."""

from __future__ import annotations

import os
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

from holdfast_generated import models
from holdfast_generated.api.audit import audit_list
from holdfast_generated.api.executions import executions_create, executions_submit
from holdfast_generated.api.finding_types import finding_types_create
from holdfast_generated.api.findings import (
    findings_bulk,
    findings_create,
    findings_list,
    findings_partial_update,
    findings_retrieve,
)
from holdfast_generated.api.tasks import tasks_list
from holdfast_generated.api.workflows import (
    workflow_versions_save_graph,
    workflows_change_entity_context,
    workflows_create,
)
from holdfast_generated.client import AuthenticatedClient
from holdfast_generated.types import UNSET, Unset

Record = TypeVar("Record")


def result(answer: Record | models.Problem | None) -> Record:
    """Return the record of an answer."""
    if answer is None or isinstance(answer, models.Problem):
        raise AssertionError(answer)
    return answer


def problem(answer: object) -> models.Problem:
    """Return the problem of an answer."""
    assert isinstance(answer, models.Problem), answer
    return answer


def main(client: AuthenticatedClient) -> None:
    """Make the calls."""

    def new_type(name: str) -> models.FindingType:
        return result(
            finding_types_create.sync(client=client, body=models.FindingTypeRequest(name=name))
        )

    finding_type, other = new_type("Gap of openapi-python"), new_type("Risk of openapi-python")
    finding = result(
        findings_create.sync(
            client=client,
            body=models.FindingRequest(
                title="No data", entity_name_type=finding_type.cuid, external_id="F-1"
            ),
            idempotency_key="openapi-python",
        )
    )
    workflow = result(
        workflows_create.sync(
            client=client,
            body=models.WorkflowRequest(
                title="Close a gap",
                state=models.WorkflowState.ACTIVE,
                entity_name_type=finding_type.cuid,
            ),
        )
    )
    verdict = models.FormField(
        name="verdict",
        type_=models.FormFieldType.CHOICE,
        choices=["close", "keep"],
        required=True,
    )
    graph = models.SaveGraphRequest(
        nodes=[
            models.StartNode(id="start", type_="start"),
            models.UserActionNode(
                id="review",
                type_="user_action",
                data=models.UserActionData(title="Review the gap", fields=[verdict]),
            ),
            models.EndNode(id="end", type_="end"),
        ],
        edges=[
            models.Edge(source="start", target="review"),
            models.Edge(source="review", target="end"),
        ],
    )
    version = result(workflow_versions_save_graph.sync(workflow.cuid, 1, client=client, body=graph))
    (review,) = (node for node in version.nodes if isinstance(node, models.UserActionNode))
    assert not isinstance(review.data, Unset) and not isinstance(review.data.fields, Unset)
    assert review.data.fields[0].name == "verdict"

    execution = result(
        executions_create.sync(
            client=client, body=models.StartRequest(workflow=workflow.cuid, entity=finding.cuid)
        )
    )
    assert execution.status == models.ExecutionStatus.WAITING
    tasks = result(tasks_list.sync(client=client, workflow=[workflow.cuid]))
    (task,) = tasks.results
    assert task.form and task.form.fields[0].type_ == models.FormFieldType.CHOICE

    change = models.ContextChangeRequest(workflows=[workflow.cuid], entity_name_type=other.cuid)
    refusal = problem(workflows_change_entity_context.sync(client=client, body=change))
    assert refusal.code == "active_executions"
    assert not isinstance(refusal.blockers, Unset) and not isinstance(refusal.remedies, Unset)
    assert [row.cuid for row in refusal.blockers.executions] == [execution.cuid]
    assert "finish_or_cancel" in [row.code for row in refusal.remedies]

    answers = models.SubmitRequestData.from_dict({"verdict": "close"})
    submit = models.SubmitRequest(step=task.cuid, data=answers)
    completed = result(executions_submit.sync(execution.cuid, client=client, body=submit))
    assert completed.status == models.ExecutionStatus.COMPLETED
    late = executions_submit.sync_detailed(execution.cuid, client=client, body=submit)
    assert late.status_code == HTTPStatus.CONFLICT and problem(late.parsed).status == 409

    etag = findings_retrieve.sync_detailed(finding.cuid, client=client).headers["ETag"]

    def retitle(title: str) -> models.Finding | models.Problem | None:
        body = models.FindingPatchRequest(title=title)
        return findings_partial_update.sync(finding.cuid, client=client, body=body, if_match=etag)

    assert result(retitle("Closed")).title == "Closed"
    assert problem(retitle("Mine")).code == "precondition_failed"

    rows = [
        models.FindingRequest(
            title=title, entity_name_type=finding_type.cuid, external_id=external_id
        )
        for title, external_id in (("Closed", "F-1"), ("New", "F-2"))
    ]
    body = models.BulkFindingsRequest(items=rows)
    saved = result(findings_bulk.sync(client=client, body=body))
    assert [row.status for row in saved.results] == [200, 201]

    titles: list[str] = []
    cursor: str | Unset | None = UNSET
    while cursor is not None:
        page = result(
            findings_list.sync(
                client=client,
                external_id_in=["F-1", "F-2"],
                entity_name_type=[finding_type.cuid],
                page_size=1,
                ordering="title",
                cursor=cursor,
            )
        )
        titles += [row.title for row in page.results]
        cursor = parse_qs(urlsplit(page.next_).query)["cursor"][0] if page.next_ else None
    assert titles == ["Closed", "New"]

    audit = result(audit_list.sync(client=client, cuid=[finding.cuid]))
    assert any(row.after and row.after["title"] == "Closed" for row in audit.results)
    print("openapi-python-client: all calls")


if __name__ == "__main__":
    with AuthenticatedClient(os.environ["HOLDFAST"], os.environ["TOKEN"]) as connected:
        main(connected)
