"""Calls with httpx and the records that datamodel-codegen generates for pydantic."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeVar

import httpx
import records
from pydantic import BaseModel

Record = TypeVar("Record", bound=BaseModel)
Query = Mapping[str, str | int | list[str]]


def send(
    client: httpx.Client, method: str, path: str, body: BaseModel | None = None, **headers: str
) -> httpx.Response:
    """Send a request; a header ``if_match`` is ``If-Match``."""
    content = None if body is None else body.model_dump_json(by_alias=True, exclude_unset=True)
    found = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.request(
        method, path, content=content, headers={"Content-Type": "application/json", **found}
    )


def record(kind: type[Record], response: httpx.Response) -> Record:
    """Return the record of a successful response."""
    assert response.is_success, response.text
    return kind.model_validate_json(response.content)


def problem(response: httpx.Response) -> records.Problem:
    """Return the problem of an error response."""
    assert response.is_error, response.text
    return records.Problem.model_validate_json(response.content)


def graph() -> records.SaveGraphRequest:
    """Return a graph with one form."""
    verdict = records.FormField(
        name=records.FieldName("verdict"),
        type=records.FormFieldType.CHOICE,
        choices=[records.Choices("close"), records.Choices("keep")],
        required=True,
    )
    review = records.UserActionData(title="Review the gap", fields=[verdict])
    return records.SaveGraphRequest(
        nodes=[
            records.Node(records.StartNode(id="start", type="start")),
            records.Node(records.UserActionNode(id="review", type="user_action", data=review)),
            records.Node(records.EndNode(id="end", type="end")),
        ],
        edges=[
            records.Edge(source="start", target="review"),
            records.Edge(source="review", target="end"),
        ],
    )


def main(client: httpx.Client) -> None:
    """Make the calls."""

    def post(path: str, body: BaseModel, **headers: str) -> httpx.Response:
        return send(client, "POST", path, body, **headers)

    def read(kind: type[Record], path: str, query: Query) -> Record:
        return record(kind, client.get(path, params=query))

    def new_type(name: str) -> records.FindingType:
        response = post("finding-types/", records.FindingTypeRequest(name=name))
        return record(records.FindingType, response)

    finding_type, other = new_type("Gap of datamodel"), new_type("Risk of datamodel")
    new_finding = records.FindingRequest(
        title="No data", entity_name_type=finding_type.cuid, external_id="F-1"
    )
    finding = record(records.Finding, post("findings/", new_finding, idempotency_key="datamodel"))
    new_workflow = records.WorkflowRequest(
        title="Close a gap", state=records.WorkflowState.ACTIVE, entity_name_type=finding_type.cuid
    )
    workflow = record(records.Workflow, post("workflows/", new_workflow))
    version = record(records.VersionWithGraph, post(f"workflows/{workflow.cuid}/1/", graph()))
    (review,) = (
        node.root for node in version.nodes if isinstance(node.root, records.UserActionNode)
    )
    assert review.data and review.data.fields
    assert review.data.fields[0].name.root == "verdict"

    start = records.StartRequest(workflow=workflow.cuid, entity=finding.cuid)
    execution = record(records.Execution, post("executions/", start))
    assert execution.status == records.ExecutionStatus.WAITING
    tasks = read(records.TaskPage, "tasks/", {"workflow": workflow.cuid})
    (task,) = tasks.results
    assert task.form and task.form.fields[0].type == records.FormFieldType.CHOICE

    change = records.ContextChangeRequest(workflows=[workflow.cuid], entity_name_type=other.cuid)
    refusal = problem(post("workflows/change-entity-context/", change))
    assert refusal.code == "active_executions" and refusal.blockers and refusal.remedies
    assert [row.cuid for row in refusal.blockers.executions] == [execution.cuid]
    assert "finish_or_cancel" in [row.code for row in refusal.remedies]

    submit = records.SubmitRequest(step=task.cuid, data={"verdict": "close"})
    path = f"executions/{execution.cuid}/submit/"
    assert record(records.Execution, post(path, submit)).status == records.ExecutionStatus.COMPLETED
    assert problem(post(path, submit)).status == 409

    path = f"findings/{finding.cuid}/"
    etag = client.get(path).headers["ETag"]
    closed = records.FindingPatchRequest(title="Closed")
    changed = record(records.Finding, send(client, "PATCH", path, closed, if_match=etag))
    assert changed.title == "Closed"
    stale = send(client, "PATCH", path, records.FindingPatchRequest(title="Mine"), if_match=etag)
    assert problem(stale).code == "precondition_failed"

    rows = [
        records.FindingRequest(
            title=title, entity_name_type=finding_type.cuid, external_id=external_id
        )
        for title, external_id in (("Closed", "F-1"), ("New", "F-2"))
    ]
    saved = record(
        records.BulkFindingsResult, post("findings/bulk/", records.BulkFindingsRequest(items=rows))
    )
    assert [row.status for row in saved.results] == [200, 201]

    titles: list[str] = []
    query: Query = {
        "external_id__in": "F-1,F-2",
        "entity_name_type": finding_type.cuid,
        "page_size": 1,
        "ordering": "title",
    }
    url: str | None = "findings/"
    while url is not None:
        page = read(records.FindingPage, url, query)
        titles += [row.title for row in page.results]
        cursor = httpx.URL(str(page.next)).params["cursor"] if page.next else None
        url, query = (url, {**query, "cursor": cursor}) if cursor else (None, {})
    assert titles == ["Closed", "New"]

    audit = read(records.AuditEntryPage, "audit/", {"cuid": finding.cuid})
    assert any(row.after and row.after.root["title"] == "Closed" for row in audit.results)
    print("datamodel-codegen: all calls")


if __name__ == "__main__":
    authorization = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    with httpx.Client(
        base_url=f"{os.environ['HOLDFAST']}/api/v1/", headers=authorization
    ) as connected:
        main(connected)
