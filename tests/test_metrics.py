"""``/metrics``: who may read it, and what it counts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client as Browser
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from executions.models import Job, Step
from tests.conftest import Scenario
from tests.test_database_faults import LOST, failing
from tests.workflows.api.clients import client_of
from workflows.audit.log import refused
from workflows_project.ops import database_metrics, metrics, request_metrics

TOKEN = "a-token-for-the-tests"
BEARER = {"authorization": f"Bearer {TOKEN}"}
Samples = dict[tuple[str, ...], float]


@pytest.fixture
def on(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Turn the metrics on, with nothing kept from an earlier read."""
    settings.METRICS_TOKEN = TOKEN
    metrics._database_registry.cache_clear()
    refused.connect(request_metrics.count_refusal)
    yield
    refused.disconnect(request_metrics.count_refusal)
    metrics._database_registry.cache_clear()


def read(client: Any = None) -> Samples:
    """Return the value of each sample by its name and the values of its labels, in their order."""
    metrics._database_registry.cache_clear()
    response = (client or Browser()).get("/metrics", headers=BEARER)
    assert response.status_code == 200, response.content
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.content.decode())
        for sample in family.samples
    }


def test_metrics_are_off_by_default(client: Browser, db: None) -> None:
    assert client.get("/metrics", headers=BEARER).status_code == 404


@pytest.mark.usefixtures("on")
@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer wrong", f"Token {TOKEN}"])
def test_metrics_refuse_strangers(client: Browser, given: str) -> None:
    response = client.get("/metrics", headers={"authorization": given})
    assert (response.status_code, response.content) == (403, b"Forbidden.\n")


@pytest.mark.django_db
def test_metrics_allow_networks_by_address_of_client(client: Browser, settings: Any) -> None:
    settings.METRICS_NETWORKS = ["10.1.0.0/16"]
    settings.ALLOWED_HOSTS = ["holdfast.example"]
    own: Any = {"REMOTE_ADDR": "10.1.2.3", "HTTP_HOST": "10.1.0.1:8000"}
    assert client.get("/metrics", **own).status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="10.2.0.1").status_code == 403
    assert client.get("/metrics", REMOTE_ADDR="").status_code == 403
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
    forwarded: Any = {"HTTP_X_FORWARDED_FOR": "192.0.2.1"}
    assert client.get("/metrics", **own, **forwarded).status_code == 403


@pytest.mark.both_databases
@pytest.mark.django_db
@pytest.mark.usefixtures("on")
def test_metrics_count_executions_steps_and_queues(scenario: Scenario) -> None:
    execution = scenario.start()
    step = Step.objects.open().get(execution=execution)
    Step.objects.filter(pk=step.pk).update(overdue=True)
    due = timezone.now() - timedelta(minutes=5)
    Job.objects.create(step=step, kind=Job.Kind.TIMER, due_at=due)
    found = read()
    cuid = scenario.caller.cuid
    assert found["holdfast_database_up",] == 1
    assert found["holdfast_executions", "waiting", cuid] == 1
    assert found["holdfast_workflow_info", "Workflow 4", cuid] == 1
    assert found["holdfast_overdue_steps",] == 1
    assert found["holdfast_incidents",] == 0
    # The form asks everybody, and nobody has an account.
    assert found["holdfast_unassigned_steps",] == 0
    assert found["holdfast_due_rows", "jobs"] == 1
    assert 300 <= found["holdfast_oldest_due_seconds", "jobs"] < 400
    assert found["holdfast_oldest_due_seconds", "deliveries"] == 0
    Step.objects.filter(pk=step.pk).update(state=Step.State.INCIDENT)
    assert read()["holdfast_incidents",] == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("on")
def test_metrics_read_the_database_once_in_a_while(client: Browser) -> None:
    read(client)
    with CaptureQueriesContext(connection) as captured:
        client.get("/metrics", headers=BEARER)
    assert len(captured) == 0


@pytest.mark.django_db
def test_slow_read_is_repeated_later(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0, 0, 3, 62, 64, 64, 64])
    reads: list[int] = []

    def read_slowly() -> list[Any]:
        reads.append(1)
        return []

    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(database_metrics, "_read", read_slowly)
    collector = database_metrics.DatabaseCollector()
    for expected in (1, 1, 2):
        list(collector.collect())
        assert len(reads) == expected


@pytest.mark.django_db
@pytest.mark.usefixtures("on")
def test_metrics_report_that_the_database_is_down(caplog: pytest.LogCaptureFixture) -> None:
    with failing(OperationalError(LOST)):
        found = read()
    assert found["holdfast_database_up",] == 0
    assert "holdfast_incidents" not in {key[0] for key in found}
    [line] = [record.getMessage() for record in caplog.records]
    assert line == "The metrics could not be read: server closed the connection unexpectedly"


@pytest.fixture
def measured(on: None) -> Any:
    """A client of a superuser whose requests are counted, as if metrics were on from the start."""
    return client_of(superuser=True)


@pytest.mark.django_db
def test_metrics_count_requests_and_refusals(measured: Any, scenario: Scenario) -> None:
    before = read()
    scenario.start()
    path = f"workflows/{scenario.caller.cuid}/"
    response = measured.edit(path, entity_name_type=scenario.exception.cuid)
    assert response.json()["code"] == "active_executions"
    measured.generic("BREW", "workflows/")
    after = read()

    def grown(*key: str) -> float:
        return after.get(key, 0) - before.get(key, 0)

    name = "holdfast_http_requests_total"
    assert grown("holdfast_refusals_total", "active_executions", "api") == 1
    assert grown(name, "", "GET", "200", "api:workflow-detail") == 1
    assert grown(name, "active_executions", "PATCH", "400", "api:workflow-detail") == 1
    assert grown(name, "method_not_allowed", "other", "405", "api:workflow-list") == 1
    assert grown("holdfast_http_request_seconds_count", "PATCH", "api:workflow-detail") == 1
