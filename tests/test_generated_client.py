"""A client generated from the OpenAPI document starts, submits and reads refusals."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from knox.models import AuthToken

from tests.conftest import Scenario
from tests.factories import UserFactory
from tests.openapi import schema

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

PACKAGE = "generated_holdfast_client"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a function that imports a module of the client."""
    place = tmp_path_factory.mktemp("client")
    # The generator makes the same client from JSON, and parses it faster than YAML.
    description = place / "openapi.json"
    description.write_text(json.dumps(schema()))
    (place / "config.yml").write_text("post_hooks: []\n")
    made = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
        + ["--path", str(description), "--output-path", str(place / PACKAGE)]
        + ["--config", str(place / "config.yml"), "--fail-on-warning"],
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    sys.path.insert(0, str(place))
    yield lambda name: importlib.import_module(f"{PACKAGE}.{name}")
    sys.path.remove(str(place))


@pytest.fixture
def client(generated: Any, live_server: Any) -> Iterator[Any]:
    """Return the client, with a token, connected to a server."""
    _, token = AuthToken.objects.create(user=UserFactory(is_superuser=True))
    with generated("client").AuthenticatedClient(live_server.url, token, prefix="Token") as client:
        yield client


def test_generated_client_starts_and_submits(
    generated: Any, client: Any, scenario: Scenario
) -> None:
    executions, models = "api.executions.executions", generated("models")
    start = models.StartRequest(workflow=scenario.caller.cuid, entity=scenario.finding.cuid)
    create = generated(f"{executions}_create").sync
    started = create(client=client, body=start, idempotency_key="first")
    assert started.status == "waiting"
    assert started.pins[0].workflow == scenario.callee.cuid

    (step,) = started.open_steps
    answers = {field.name: "low" for field in step.form.fields}
    submit = generated(f"{executions}_submit").sync
    body = models.SubmitRequest(data=answers, step=step.step)
    ended = submit(started.cuid, client=client, body=body)
    assert ended.status == "completed"

    history = generated(f"{executions}_steps_list").sync(started.cuid, client=client)
    assert [row.node for row in history.results][-1] == "end"
    again = create(client=client, body=start, idempotency_key="first")
    assert again.cuid == started.cuid


def test_generated_client_creates_records_and_graphs(generated: Any, client: Any) -> None:
    """Read-only fields are not needed, and the nodes of a graph have types."""
    models = generated("models")
    request = models.FindingTypeRequest(name="Gap")
    kind = generated("api.finding_types.finding_types_create").sync(client=client, body=request)
    workflow = generated("api.workflows.workflows_create").sync(
        client=client,
        body=models.WorkflowRequest(title="Close a gap", entity_name_type=kind.cuid),
    )
    graph = models.SaveGraphRequest(
        nodes=[
            models.StartNode(id="start", type_="start"),
            models.WaitNode(id="wait", type_="wait", data=models.WaitData(interval="P1D")),
            models.EndNode(id="end", type_="end"),
        ],
        edges=[
            models.Edge(source="start", target="wait"),
            models.Edge(source="wait", target="end"),
        ],
    )
    save = generated("api.workflows.workflow_versions_save_graph").sync
    saved = save(workflow.cuid, 1, client=client, body=graph)
    node = next(row for row in saved.nodes if isinstance(row, models.WaitNode))
    assert node.data.interval == "P1D"


def test_generated_client_reads_blockers(generated: Any, client: Any, scenario: Scenario) -> None:
    execution = scenario.start()
    models = generated("models")
    change = models.ContextChangeRequest(
        workflows=[scenario.caller.cuid, scenario.callee.cuid],
        entity_name_type=scenario.exception.cuid,
    )
    name = "api.workflows.workflows_change_entity_context"
    refused = generated(name).sync(client=client, body=change)
    assert refused.code == "active_executions"
    assert [row.cuid for row in refused.blockers.executions] == [execution.cuid]
    assert "when_drained" in [row.code for row in refused.remedies]
