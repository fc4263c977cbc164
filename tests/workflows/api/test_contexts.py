"""Changes of entity context by the API: their impact, put on hold, withdrawn."""

from __future__ import annotations

from typing import Any

import pytest

from executions import services as running
from tests.conftest import Scenario
from tests.factories import FindingTypeFactory, RecordTypeFactory, WorkflowFactory, call, save_line
from tests.workflows.api.clients import Client, assert_problem, client_of, statements
from workflows.models import AuditEntry, PendingChange, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]


def change(api: Client, scenario: Scenario, *workflows: Workflow, **asked: Any) -> Any:
    rows = workflows or (scenario.caller, scenario.callee)
    body = {
        "workflows": [row.cuid for row in rows],
        "entity_name_type": scenario.exception.cuid,
        **asked,
    }
    return api.post("workflows/change-entity-context/", body)


def impact(api: Client, workflow: Workflow, **query: Any) -> Any:
    return api.get(f"workflows/{workflow.cuid}/impact/", query)


class TestImpact:
    def test_allowed(self, api: Client) -> None:
        workflow, kind = WorkflowFactory(), FindingTypeFactory()
        before = AuditEntry.objects.count()
        body = impact(api, workflow, entity_name_type=kind.cuid).json()
        assert body.pop("token")
        named = {"cuid": workflow.cuid, "title": workflow.title}
        (group,) = body.pop("group")
        assert {**group, **named} == group
        assert group["url"].endswith(f"/workflows/{workflow.cuid}/")
        assert body == {
            "allowed": True,
            "code": None,
            "detail": None,
            "errors": [],
            "blockers": {"executions": [], "workflows": [], "total": 0},
            "remedies": [],
            "versions": [{"workflow": workflow.cuid, "number": 1, "replaces": True}],
        }
        assert AuditEntry.objects.count() == before

    def test_refused_tells_what_the_change_would_answer(
        self, api: Client, scenario: Scenario
    ) -> None:
        execution = scenario.start()
        asked = {"entity_name_type": scenario.exception.cuid}
        response = impact(api, scenario.callee, **asked)
        assert response.status_code == 200
        body = response.json()
        answered = change(api, scenario, scenario.callee).json()
        for name in ("code", "detail", "errors", "blockers", "remedies"):
            assert body[name] == answered[name]
        assert body["allowed"] is False
        assert body["code"] == "dependent_active_executions"
        assert [row["cuid"] for row in body["blockers"]["executions"]] == [execution.cuid]
        assert {row["title"] for row in body["group"]} == {"Workflow 3", "Workflow 4"}
        codes = [row["code"] for row in body["remedies"]]
        assert codes == ["finish_or_cancel", "change_together", "when_drained"]

    def test_of_a_group(self, api: Client, scenario: Scenario) -> None:
        asked = {"entity_name_type": scenario.exception.cuid}
        assert impact(api, scenario.caller, **asked).json()["allowed"] is False
        body = impact(api, scenario.caller, **asked, workflows=scenario.callee.cuid).json()
        assert body["allowed"] is True
        assert len(body["versions"]) == 2
        assert change(api, scenario, token=body["token"]).status_code == 200

    def test_to_a_record_type(self, api: Client) -> None:
        kind = RecordTypeFactory()
        body = impact(api, WorkflowFactory(), primary_record_type_id=kind.cuid).json()
        assert body["allowed"] is True

    @pytest.mark.parametrize(
        ("query", "pointer"),
        [
            ({}, "/entity_name_type"),
            ({"entity_name_type": "nothing"}, "/entity_name_type"),
            ({"colour": "red"}, "/colour"),
            ({"workflows": "nothing"}, "/workflows"),
            ({"entity_name": "Model"}, "/entity_name"),
        ],
    )
    def test_malformed(self, api: Client, query: dict[str, str], pointer: str) -> None:
        response = impact(api, WorkflowFactory(), **query)
        assert response.status_code == 400
        assert response.json()["errors"][0]["pointer"] == pointer

    def test_no_such_workflow(self, api: Client) -> None:
        assert_problem(api.get("workflows/nothing/impact/"), 404, "not_found")


class TestToken:
    def test_a_stale_one_says_what_has_changed(self, api: Client, scenario: Scenario) -> None:
        asked = {
            "entity_name_type": scenario.exception.cuid,
            "workflows": scenario.callee.cuid,
        }
        token = impact(api, scenario.caller, **asked).json()["token"]
        execution = scenario.start()
        body = assert_problem(change(api, scenario, token=token), 409, "stale_token")
        assert [row["cuid"] for row in body["blockers"]["executions"]] == [execution.cuid]
        assert body["errors"][0]["pointer"] == "/token"
        assert body["errors"][0]["code"] == "new_execution"

    def test_one_that_is_none(self, api: Client, scenario: Scenario) -> None:
        assert_problem(change(api, scenario, token="x"), 400, "invalid_token")


class TestOnHold:
    def test_put_on_hold_202_shown_and_made(self, api: Client, scenario: Scenario) -> None:
        execution = scenario.start()
        response = change(api, scenario, when="drained", why="reorganized")
        assert response.status_code == 202
        body = response.json()
        pending = body["pending"]
        assert (body["on_hold"], body["versions"], pending["state"]) == (True, [], "waiting")
        assert response["Location"].endswith(f"/api/v1/pending-changes/{pending['cuid']}/")
        for row in body["workflows"]:
            assert row["draining"]["change"] == pending["cuid"]
            assert row["draining"]["asked_by"] == pending["asked_by"]
        shown = api.get(f"pending-changes/{pending['cuid']}/").json()
        assert shown == pending
        assert {row["title"] for row in shown["workflows"]} == {"Workflow 3", "Workflow 4"}
        assert shown["why"] == "reorganized"

        asked = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
        refused = assert_problem(api.post("executions/", asked), 400, "draining")
        assert pending["cuid"] in refused["remedies"][0]["detail"]

        url = f"executions/{execution.cuid}/submit/"
        assert api.post(url, {"node": "form", "data": {"note": "n"}}).status_code == 200
        assert api.get(f"pending-changes/{pending['cuid']}/").json()["state"] == "applied"
        row = api.get(f"workflows/{scenario.caller.cuid}/").json()
        assert (row["draining"], row["entity_name_type"]) == (None, scenario.exception.cuid)

    def test_where_nothing_runs_200(self, api: Client, scenario: Scenario) -> None:
        response = change(api, scenario, when="drained")
        assert response.status_code == 200
        assert response.json()["pending"] is None
        assert len(response.json()["versions"]) == 2

    def test_a_dry_run(self, api: Client, scenario: Scenario) -> None:
        scenario.start()
        response = change(api, scenario, when="drained", dry_run=True)
        assert response.status_code == 200
        body = response.json()
        assert (body["on_hold"], body["pending"], body["dry_run"]) == (True, None, True)
        assert not PendingChange.objects.exists()

    def test_withdrawn(self, api: Client, scenario: Scenario) -> None:
        scenario.start()
        pending = change(api, scenario, when="drained").json()["pending"]
        url = f"pending-changes/{pending['cuid']}/"
        assert api.delete(url).status_code == 204
        assert_problem(api.get(url), 404, "not_found")
        assert_problem(api.delete(url), 404, "not_found")
        asked = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
        assert api.post("executions/", asked).status_code == 201

    def test_what_has_been_made_is_not_withdrawn(self, api: Client, scenario: Scenario) -> None:
        execution = scenario.start()
        pending = change(api, scenario, when="drained").json()["pending"]
        running.cancel(execution)
        assert_problem(api.delete(f"pending-changes/{pending['cuid']}/"), 409, "settled")

    def test_the_list_is_filtered(self, api: Client, scenario: Scenario) -> None:
        scenario.start()
        change(api, scenario, when="drained")
        assert api.get("pending-changes/", {"state": "waiting"}).json()["count"] == 1
        assert api.get("pending-changes/", {"state": "applied"}).json()["count"] == 0
        asked = {"workflow": scenario.callee.cuid}
        assert api.get("pending-changes/", asked).json()["count"] == 1
        assert api.get("pending-changes/", {"workflow": "x"}).json()["count"] == 0
        assert api.get("pending-changes/", {"state": "gone"}).status_code == 400

    def test_the_list_takes_as_many_statements_for_many(
        self, api: Client, scenario: Scenario
    ) -> None:
        counts = []
        for number in (1, 5):
            while PendingChange.objects.count() < number:
                workflow = WorkflowFactory(entity_name_type=scenario.limitation)
                save_line(workflow, {"id": "f", "type": "user_action", "data": {"fields": []}})
                running.start(workflow, scenario.finding)
                change(api, scenario, workflow, when="drained")
            counts.append(statements(lambda: api.get("pending-changes/")))
        assert counts[0] == counts[1]

    def test_a_workflow_that_was_deleted_keeps_its_name(
        self, api: Client, scenario: Scenario
    ) -> None:
        scenario.start()
        extra = WorkflowFactory(title="Extra", entity_name_type=scenario.limitation)
        asked = change(api, scenario, scenario.caller, scenario.callee, extra, when="drained")
        api.delete(f"workflows/{extra.cuid}/")
        shown = api.get(f"pending-changes/{asked.json()['pending']['cuid']}/").json()
        named = {row["title"]: row["url"] for row in shown["workflows"]}
        assert named["Extra"] is None
        assert named["Workflow 3"]

    @pytest.mark.parametrize(
        "permission", ["view_pendingchange", "change_workflow", "change_entity_context"]
    )
    def test_who_may_change_the_type_may_withdraw(
        self, api: Client, scenario: Scenario, permission: str
    ) -> None:
        scenario.start()
        cuid = change(api, scenario, when="drained").json()["pending"]["cuid"]
        response = client_of(f"workflows.{permission}").delete(f"pending-changes/{cuid}/")
        assert response.status_code == (204 if permission == "change_entity_context" else 403)


class TestAudit:
    def test_what_was_done_and_refused_with_who_and_which_request(
        self, api: Client, scenario: Scenario
    ) -> None:
        scenario.start()
        response = api.edit(f"workflows/{scenario.caller.cuid}/", title="Renamed")
        assert response.status_code == 200
        done = api.get("audit/", {"request_id": response["X-Request-ID"]}).json()["results"]
        assert [(row["action"], row["after"]) for row in done] == [
            ("changed", {"title": "Renamed"})
        ]
        assert (done[0]["face"], done[0]["refused"]) == ("api", False)
        assert done[0]["who"].startswith("client")
        url = f"workflows/{scenario.caller.cuid}/"
        refused = api.patch(
            url,
            {"entity_name_type": scenario.exception.cuid},
            headers={"If-Match": "*", "X-Request-ID": "mine-1"},
        )
        assert refused["X-Request-ID"] == "mine-1"
        (told,) = api.get("audit/", {"request_id": "mine-1"}).json()["results"]
        assert (told["refused"], told["code"]) == (True, "active_executions")
        assert told["detail"] == refused.json()["detail"]
        assert told["after"] == {"entity_name_type": scenario.exception.cuid}
        assert told["who"] == done[0]["who"]

    @pytest.mark.parametrize(
        ("method", "url", "body", "code", "kind"),
        [
            ("delete", "workflows/{callee}/", None, "referenced", "workflow"),
            ("delete", "finding-types/{kind}/", None, "type_in_use", "finding type"),
            ("delete", "findings/{finding}/", None, "entity_in_use", "entity"),
            ("patch", "findings/{finding}/", "type", "entity_in_use", "entity"),
            ("post", "workflows/{callee}/1/", {"nodes": 3}, "invalid_graph", "workflow"),
            ("patch", "workflows/{callee}/", {"state": "retired"}, "referenced", "workflow"),
        ],
    )
    def test_every_refusal_leaves_one_entry(
        self,
        api: Client,
        scenario: Scenario,
        method: str,
        url: str,
        body: Any,
        code: str,
        kind: str,
    ) -> None:
        scenario.start()
        path = url.format(
            callee=scenario.callee.cuid,
            kind=scenario.limitation.cuid,
            finding=scenario.finding.cuid,
        )
        sent = {"entity_name_type": scenario.exception.cuid} if body == "type" else body
        before = AuditEntry.objects.count()
        response = getattr(api, method)(path, sent, headers={"If-Match": "*"})
        assert response.status_code in (400, 409), response.content
        assert AuditEntry.objects.count() == before + 1
        entry = AuditEntry.objects.first()
        assert entry is not None
        assert (entry.refused, entry.code, entry.kind) == (True, code, kind)

    def test_an_odd_request_id_is_replaced(self, api: Client) -> None:
        response = api.get("workflows/", headers={"X-Request-ID": "a b\tc"})
        assert response["X-Request-ID"].isalnum()

    def test_it_is_read_only(self, api: Client) -> None:
        FindingTypeFactory()
        assert api.get("audit/1/").json()["id"] == 1
        assert api.post("audit/", {}).status_code == 405
        assert api.delete("audit/1/").status_code == 405
        for number in ("2", "x", "9" * 30):
            assert_problem(api.get(f"audit/{number}/"), 404, "not_found")

    def test_its_filters(self, api: Client, scenario: Scenario) -> None:
        def found(**query: Any) -> int:
            return int(api.get("audit/", query).json()["count"])

        everything = found()
        assert found(cuid=scenario.caller.cuid) == 2
        assert found(kind="entity") == 1
        assert found(refused="true") == 0
        assert found(until="2020-01-01T00:00:00Z") == 0
        assert found(since="2020-01-01T00:00:00Z") == everything
        assert api.get("audit/", {"since": "yesterday"}).status_code == 400
        assert_problem(api.get("audit/", {"refused": "yes"}), 400, "invalid_choice")

    def test_only_who_may_view_it(self) -> None:
        assert client_of().get("audit/").status_code == 403
        assert client_of("workflows.view_auditentry").get("audit/").status_code == 200


def test_a_caller_of_a_draining_workflow_may_be_saved(api: Client, scenario: Scenario) -> None:
    scenario.start()
    change(api, scenario, when="drained")
    other = WorkflowFactory(entity_name_type=scenario.limitation)
    assert save_line(other, call(scenario.callee)).number == 1
