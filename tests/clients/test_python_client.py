"""The Python client: records, pages, retries, problems, conditional changes and webhooks."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import standardwebhooks
from django.conf import settings as project
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.handlers.wsgi import WSGIHandler

from executions.models import FormFile
from holdfast_client import (
    Conflict,
    ConnectionFailed,
    Forbidden,
    Holdfast,
    InvalidSignature,
    NotFound,
    PreconditionFailed,
    Problem,
    ServerFailed,
    Throttled,
    Unauthorized,
    verify_webhook,
)
from tests.conftest import Scenario
from tests.factories import FindingFactory, UserFactory, form, line
from tests.openapi import schema

CLIENT = Path(project.BASE_DIR) / "clients" / "python"

pytestmark = pytest.mark.django_db


def test_generated_types_are_up_to_date() -> None:
    spec: Any = importlib.util.spec_from_file_location("generate", CLIENT / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert generate.render(schema()) == generate.MODELS.read_text(), (
        "Run: python clients/python/generate.py"
    )


@pytest.fixture
def client(db: None, settings: Any) -> Iterator[Holdfast]:
    """Return a client of the application in this process, of a superuser."""
    settings.ALLOWED_HOSTS = ["holdfast.example"]
    UserFactory(username="ada", password="secret", is_superuser=True)
    http = httpx.Client(transport=httpx.WSGITransport(WSGIHandler()))
    with Holdfast.log_in("http://holdfast.example", "ada", "secret", http=http) as found:
        yield found


def test_client_reads_status_and_account(client: Holdfast) -> None:
    assert client.status()["version"]
    me = client.me()
    assert (me["username"], me["token"] and me["token"]["current"]) == ("ada", True)


def test_client_uploads_and_downloads_files(client: Holdfast, tmp_path: Path) -> None:
    kind = client.finding_types.create({"name": "Evidence"})
    workflow = client.workflows.create(
        {"title": "Validate", "state": "active", "entity_name_type": kind["cuid"]}
    )
    graph: Any = line(form("review", {"name": "report", "type": "file", "max_size": 9}))
    client.workflows.save_graph(workflow["cuid"], graph, based_on=1)
    finding = client.findings.create({"title": "model", "entity_name_type": kind["cuid"]})
    cuid = client.executions.start(workflow["cuid"], finding["cuid"])["cuid"]
    path = tmp_path / "report.txt"
    path.write_bytes(b"sound")
    file = client.executions.upload(cuid, "review", "report", path)
    with pytest.raises(Problem) as caught:
        client.executions.upload(cuid, "review", "report", ("large.txt", b"x" * 10))
    assert (caught.value.status, caught.value.code) == (413, "file_too_large")
    client.executions.submit(cuid, "review", {"report": file["cuid"]})
    assert [row["name"] for row in client.executions.files(cuid)] == ["report.txt"]
    assert client.executions.download(cuid, file["cuid"]) == b"sound"
    key = FormFile.objects.get().key
    default_storage.delete(key)
    default_storage.save(key, ContentFile(b"other"))
    with pytest.raises(ValueError, match="checksum"):
        client.executions.download(cuid, file["cuid"])


def test_client_runs_a_workflow(client: Holdfast) -> None:
    kind = client.finding_types.create({"name": "Data gap"})
    workflow = client.workflows.create(
        {"title": "Close it", "state": "active", "entity_name_type": kind["cuid"]}
    )
    graph: Any = line(form("review"))
    saved = client.workflows.save_graph(workflow["cuid"], graph, based_on=1)
    assert client.workflows.version(workflow["cuid"], saved["number"])["nodes"][1]["id"] == "review"
    assert [row["number"] for row in client.workflows.versions(workflow["cuid"])] == [1]
    finding = client.findings.create({"title": "gap", "entity_name_type": kind["cuid"]})
    execution = client.executions.start(workflow["cuid"], finding["cuid"], key="gap-1")
    again = client.executions.start(workflow["cuid"], finding["cuid"], key="gap-1")
    assert again["cuid"] == execution["cuid"]
    assert [row["cuid"] for row in client.executions.mine()] == [execution["cuid"]]
    done = client.executions.submit(execution["cuid"], "review", {"note": "n"})
    assert done["status"] == "completed"
    assert [row["node"] for row in client.executions.steps(execution["cuid"])] == [
        *("start", "review", "end")
    ]
    late = client.executions.start(
        workflow["cuid"], finding["cuid"], scheduled_for=datetime(2099, 1, 1, tzinfo=UTC)
    )
    assert client.executions.cancel(late["cuid"], why="no")["status"] == "cancelled"
    assert client.request("GET", f"executions/{late['cuid']}/")["status"] == "cancelled"
    assert [row["action"] for row in client.audit.list(cuid=late["cuid"])] == ["cancelled"]


def test_list_yields_the_rows_of_all_pages(client: Holdfast, scenario: Scenario) -> None:
    titles = {f"gap {number}" for number in range(5)}
    for title in titles:
        FindingFactory(title=title, entity_name_type=scenario.limitation, fields={"score": 3})
    rows = client.findings.list(page_size=2, **{"fields.score__gte": 3})
    assert {row["title"] for row in rows} == titles
    assert client.findings.count(title="gap 1") == 1
    kinds = [scenario.limitation.cuid, scenario.exception.cuid]
    assert len(list(client.findings.list(page_size=3, entity_name_type=kinds))) == 6
    live = client.executions.list(live=True, started_after=datetime.now(UTC), include=["entity"])
    assert list(live) == []


def test_many_findings_are_saved_by_external_id(client: Holdfast, scenario: Scenario) -> None:
    items: Any = [
        {"title": f"f{n}", "external_id": f"E-{n}", "entity_name_type": scenario.limitation.cuid}
        for n in range(3)
    ]
    items[1]["entity_name_type"] = "nothing"
    results = list(client.findings.save_many(items, size=2))
    assert [row["status"] for row in results] == [201, 400, 201]


# Problems


def test_refusal_has_blockers_and_remedies(client: Holdfast, scenario: Scenario) -> None:
    execution = scenario.start()
    workflow = scenario.caller.cuid
    _, etag = client.workflows.get_with_etag(workflow)
    with pytest.raises(Problem) as refusal:
        client.workflows.update(workflow, {"entity_name_type": scenario.exception.cuid}, etag=etag)
    problem = refusal.value
    assert (problem.status, problem.code) == (400, "active_executions")
    assert problem.blockers and problem.blockers["executions"][0]["cuid"] == execution.cuid
    assert problem.remedies and problem.remedies[0]["detail"] in str(problem)
    assert problem.errors[0]["pointer"] == "/entity_name_type"
    assert problem.request_id


def test_problems_have_classes_by_status(client: Holdfast, scenario: Scenario) -> None:
    with pytest.raises(NotFound):
        client.executions.get("nothing")
    client.executions.cancel(
        client.executions.start(scenario.caller.cuid, scenario.finding.cuid)["cuid"]
    )
    (ended,) = client.executions.list()
    with pytest.raises(Conflict):
        client.executions.submit(ended["cuid"], "form", {})
    scoped = client.transport.http
    reader = Holdfast.log_in(
        "http://holdfast.example", "ada", "secret", scopes=["read"], name="reader", http=scoped
    )
    with pytest.raises(Forbidden) as refusal:
        reader.finding_types.create({"name": "n"})
    assert refusal.value.code == "insufficient_scope"
    with pytest.raises(Unauthorized):
        Holdfast("http://holdfast.example", "wrong", http=scoped).status()


# Conditional changes


def test_edit_reads_the_record_again_after_another_change(
    client: Holdfast, scenario: Scenario
) -> None:
    cuid = scenario.finding.cuid
    seen = []

    def change(finding: Any) -> Any:
        seen.append(finding["title"])
        if len(seen) == 1:
            scenario.finding.title = "changed meanwhile"
            scenario.finding.save()
        return {"title": f"{finding['title']}!"}

    assert client.findings.edit(cuid, change)["title"] == "changed meanwhile!"
    assert seen == ["Finding 1", "changed meanwhile"]


def test_change_based_on_an_old_record_is_refused(client: Holdfast, scenario: Scenario) -> None:
    cuid = scenario.finding.cuid
    _, etag = client.findings.get_with_etag(cuid)
    client.findings.update(cuid, {"title": "other"}, etag=etag)
    with pytest.raises(PreconditionFailed):
        client.findings.update(cuid, {"title": "mine"}, etag=etag)
    with pytest.raises(PreconditionFailed):
        client.findings.delete(cuid, etag=etag)
    client.findings.delete(cuid)
    with pytest.raises(PreconditionFailed):
        client.finding_types.edit(
            scenario.exception.cuid, lambda row: _rename(scenario, f"{row['name']}!")
        )


def _rename(scenario: Scenario, name: str) -> Any:
    scenario.exception.name = name
    scenario.exception.save()
    return {"description": "d"}


# Repeated requests

Answer = Callable[[httpx.Request], httpx.Response]


def answering(*answers: Any) -> tuple[Holdfast, list[httpx.Request], list[float]]:
    """Return a client of a server with these responses, its requests, and its pauses."""
    left, requests = list(answers), []
    pauses: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        found = left.pop(0)
        if isinstance(found, Exception):
            raise found
        status, headers = found if isinstance(found, tuple) else (found, {})
        return httpx.Response(status, headers=headers, json={"cuid": "c", "detail": "d"})

    http = httpx.Client(transport=httpx.MockTransport(answer))
    client = Holdfast("http://h.example", "t", http=http, sleep=pauses.append)
    return client, requests, pauses


def test_lost_response_is_asked_for_again_with_the_same_key() -> None:
    client, requests, pauses = answering(httpx.ReadTimeout("slow"), 502, 201)
    assert client.executions.start("w", "e")["cuid"] == "c"
    keys = {request.headers["Idempotency-Key"] for request in requests}
    assert len(requests) == 3 and len(keys) == 1
    assert len(pauses) == 2 and 0.25 <= pauses[0] <= 0.5 <= pauses[1] <= 1


@pytest.mark.parametrize("status", [409, 429, 503])
def test_pause_follows_retry_after(status: int) -> None:
    client, _, pauses = answering((status, {"Retry-After": "7"}), 200)
    client.status()
    assert pauses == [7]


def test_final_answers_are_not_repeated() -> None:
    for status, error in ((400, Problem), (409, Conflict), (422, Problem), (404, NotFound)):
        client, requests, _ = answering(status)
        with pytest.raises(error):
            client.status()
        assert len(requests) == 1


def test_last_attempt_raises() -> None:
    client, requests, _ = answering(*[429] * 5)
    with pytest.raises(Throttled):
        client.status()
    assert len(requests) == 5
    client, requests, _ = answering(*[500] * 5)
    with pytest.raises(ServerFailed):
        client.status()
    client, requests, _ = answering(*[httpx.ConnectError("refused")] * 5)
    with pytest.raises(ConnectionFailed, match="refused"):
        client.status()


Call = Callable[[Holdfast], object]


def create_webhook(client: Holdfast) -> None:
    client.webhooks.create({"url": "https://a.example/", "events": []})


UNGUARDED: list[Call] = [create_webhook, lambda client: client.findings.delete("c")]
GUARDED: list[Call] = [
    lambda client: client.findings.update("c", {"title": "t"}, etag='"e"'),
    lambda client: client.findings.delete("c", etag='"e"'),
]


@pytest.mark.parametrize("call", UNGUARDED)
@pytest.mark.parametrize("failure", [503, 500, httpx.ReadTimeout("slow"), httpx.ReadError("cut")])
def test_unguarded_edit_is_sent_once_when_it_may_have_been_made(call: Call, failure: Any) -> None:
    client, requests, _ = answering(failure)
    with pytest.raises((ServerFailed, ConnectionFailed)):
        call(client)
    assert not {"Idempotency-Key", "If-Match"} & requests[0].headers.keys()


@pytest.mark.parametrize("call", UNGUARDED)
@pytest.mark.parametrize(
    "failure",
    [429, httpx.ConnectError("refused"), httpx.ConnectTimeout("t"), httpx.PoolTimeout("t")],
)
def test_unguarded_edit_is_repeated_when_it_was_not_made(call: Call, failure: Any) -> None:
    client, requests, _ = answering(failure, 201)
    call(client)
    assert len(requests) == 2


@pytest.mark.parametrize("call", GUARDED)
def test_guarded_edit_is_repeated_without_a_response(call: Call) -> None:
    client, requests, _ = answering(httpx.ReadTimeout("slow"), 502, 200)
    call(client)
    assert [request.headers["If-Match"] for request in requests] == ['"e"'] * 3


@pytest.mark.parametrize("call", GUARDED)
@pytest.mark.parametrize("status", [404, 412])
@pytest.mark.parametrize("failure", [httpx.ReadTimeout("slow"), 502])
def test_conflict_with_an_edit_that_may_be_its_own_is_no_refusal(
    call: Call, status: int, failure: Any
) -> None:
    """Otherwise ``edit`` would compute its change again, from a record that has it already."""
    client, _, _ = answering(failure, status)
    with pytest.raises(ConnectionFailed, match="may have been made"):
        call(client)
    client, _, _ = answering(httpx.ConnectError("refused"), status)
    with pytest.raises(Problem):
        call(client)


def test_problem_with_a_long_retry_after_is_raised_at_once() -> None:
    client, requests, pauses = answering((429, {"Retry-After": "31"}))
    with pytest.raises(Throttled) as problem:
        client.status()
    assert (problem.value.retry_after, len(requests), pauses) == (31, 1, [])
    client, _, _ = answering((404, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}))
    with pytest.raises(NotFound) as other:
        client.status()
    assert other.value.retry_after is None


def test_next_page_is_never_read_from_another_host() -> None:
    pages: list[dict[str, Any]] = [
        {"results": [1], "next": "https://evil.example/x?cursor=c%20d"},
        {"results": [2]},
    ]
    requests = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={"next": None, **pages.pop(0)})

    http = httpx.Client(transport=httpx.MockTransport(answer))
    rows: Any = Holdfast("http://h.example/at/", "t", http=http).findings.list()
    assert list(rows) == [1, 2]
    assert str(requests[1].url) == "http://h.example/at/api/v1/findings/?cursor=c+d"


def test_problem_of_a_proxy_has_a_status_only() -> None:
    http = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(403, text="<p>")))
    with pytest.raises(Forbidden, match="Forbidden"):
        Holdfast("http://h.example", "t", http=http).status()


# Webhooks

SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def signed(body: bytes, secret: str = SECRET, at: float | None = None) -> dict[str, str]:
    sent_at = datetime.fromtimestamp(at or time.time(), UTC)
    signature = standardwebhooks.Webhook(secret).sign("msg_1", sent_at, body.decode())
    return {
        "Webhook-Id": "msg_1",
        "Webhook-Timestamp": str(int(sent_at.timestamp())),
        "Webhook-Signature": f"v1,AAAA {signature}",
    }


def test_signed_webhook_is_accepted() -> None:
    body = json.dumps({"type": "execution.completed"}).encode()
    assert verify_webhook(SECRET, signed(body), body) == {"type": "execution.completed"}


@pytest.mark.parametrize(
    ("headers", "secret"),
    [
        ({"Webhook-Signature": "v1,AAAA"}, SECRET),
        ({"Webhook-Signature": "v1,é"}, SECRET),
        ({"Webhook-Id": "msg_2"}, SECRET),
        ({"Webhook-Timestamp": "0"}, SECRET),
        ({"Webhook-Timestamp": "soon"}, SECRET),
        ({}, "whsec_AAAA"),
        ({}, "whsec_?"),
    ],
)
def test_other_webhook_is_refused(headers: dict[str, str], secret: str) -> None:
    with pytest.raises(InvalidSignature):
        verify_webhook(secret, {**signed(b"{}"), **headers}, b"{}")
    with pytest.raises(InvalidSignature):
        verify_webhook(SECRET, {}, b"{}")
