"""API: impact of context changes, pending changes and the audit log."""

from __future__ import annotations

from typing import Any

import pytest

from executions import services as running
from tests.conftest import Scenario
from tests.factories import FindingTypeFactory, RecordTypeFactory, WorkflowFactory, call, save_line
from tests.workflows.api.clients import Client, assert_problem, client_of, statements
from workflows.models import AuditEntry, PendingChange, Workflow

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.sqlite,
    pytest.mark.usefixtures("invariants"),
]


def change(api: Client, scenario: Scenario, *workflows: Workflow, **values: Any) -> Any:
    rows = workflows or (scenario.caller, scenario.callee)
    body = {
        "workflows": [row.cuid for row in rows],
        "entity_name_type": scenario.exception.cuid,
        **values,
    }
    return api.post("workflows/change-entity-context/", body)


def impact(api: Client, workflow: Workflow, **query: Any) -> Any:
    return api.get(f"workflows/{workflow.cuid}/impact/", query)


class TestImpact:
    def test_impact_is_allowed_without_live_executions(self, api: Client) -> None:
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

    def test_impact_reports_the_refusal_of_the_change(
        self, api: Client, scenario: Scenario
    ) -> None:
        execution = scenario.start()
        values = {"entity_name_type": scenario.exception.cuid}
        response = impact(api, scenario.callee, **values)
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

    def test_impact_covers_a_group_of_workflows(self, api: Client, scenario: Scenario) -> None:
        values = {"entity_name_type": scenario.exception.cuid}
        assert impact(api, scenario.caller, **values).json()["allowed"] is False
        body = impact(api, scenario.caller, **values, workflows=scenario.callee.cuid).json()
        assert body["allowed"] is True
        assert len(body["versions"]) == 2
        assert change(api, scenario, token=body["token"]).status_code == 200

    def test_impact_of_a_record_type_is_allowed(self, api: Client) -> None:
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
    def test_impact_is_rejected_when_the_query_is_malformed(
        self, api: Client, query: dict[str, str], pointer: str
    ) -> None:
        response = impact(api, WorkflowFactory(), **query)
        assert response.status_code == 400
        assert response.json()["errors"][0]["pointer"] == pointer

    def test_impact_is_rejected_when_the_workflow_is_unknown(self, api: Client) -> None:
        assert_problem(api.get("workflows/nothing/impact/"), 404, "not_found")


class TestToken:
    def test_change_is_refused_when_the_token_is_stale(
        self, api: Client, scenario: Scenario
    ) -> None:
        values = {
            "entity_name_type": scenario.exception.cuid,
            "workflows": scenario.callee.cuid,
        }
        token = impact(api, scenario.caller, **values).json()["token"]
        execution = scenario.start()
        body = assert_problem(change(api, scenario, token=token), 409, "stale_token")
        assert [row["cuid"] for row in body["blockers"]["executions"]] == [execution.cuid]
        assert body["errors"][0]["pointer"] == "/token"
        assert body["errors"][0]["code"] == "new_execution"

    def test_change_is_refused_when_the_token_is_invalid(
        self, api: Client, scenario: Scenario
    ) -> None:
        assert_problem(change(api, scenario, token="x"), 400, "invalid_token")


class TestOnHold:
    @pytest.mark.both_databases
    def test_change_is_put_on_hold_and_applied_later(self, api: Client, scenario: Scenario) -> None:
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
        data = api.get(f"pending-changes/{pending['cuid']}/").json()
        assert data == pending
        assert {row["title"] for row in data["workflows"]} == {"Workflow 3", "Workflow 4"}
        assert data["why"] == "reorganized"

        values = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
        refused = assert_problem(api.post("executions/", values), 400, "draining")
        assert pending["cuid"] in refused["remedies"][0]["detail"]

        url = f"executions/{execution.cuid}/submit/"
        assert api.post(url, {"node": "form", "data": {"note": "n"}}).status_code == 200
        assert api.get(f"pending-changes/{pending['cuid']}/").json()["state"] == "applied"
        row = api.get(f"workflows/{scenario.caller.cuid}/").json()
        assert (row["draining"], row["entity_name_type"]) == (None, scenario.exception.cuid)

    @pytest.mark.both_databases
    def test_change_is_applied_at_once_without_live_executions(
        self, api: Client, scenario: Scenario
    ) -> None:
        response = change(api, scenario, when="drained")
        assert response.status_code == 200
        assert response.json()["pending"] is None
        assert len(response.json()["versions"]) == 2

    def test_dry_run_puts_nothing_on_hold(self, api: Client, scenario: Scenario) -> None:
        scenario.start()
        response = change(api, scenario, when="drained", dry_run=True)
        assert response.status_code == 200
        body = response.json()
        assert (body["on_hold"], body["pending"], body["dry_run"]) == (True, None, True)
        assert not PendingChange.objects.exists()

    def test_pending_change_is_withdrawn(self, api: Client, scenario: Scenario) -> None:
        scenario.start()
        pending = change(api, scenario, when="drained").json()["pending"]
        url = f"pending-changes/{pending['cuid']}/"
        assert api.delete(url).status_code == 204
        assert_problem(api.get(url), 404, "not_found")
        assert_problem(api.delete(url), 404, "not_found")
        values = {"workflow": scenario.caller.cuid, "entity": scenario.finding.cuid}
        assert api.post("executions/", values).status_code == 201

    def test_withdrawal_is_refused_when_the_change_is_applied(
        self, api: Client, scenario: Scenario
    ) -> None:
        execution = scenario.start()
        pending = change(api, scenario, when="drained").json()["pending"]
        running.cancel(execution)
        assert_problem(api.delete(f"pending-changes/{pending['cuid']}/"), 409, "settled")

    @pytest.mark.both_databases
    def test_pending_changes_are_filtered(self, api: Client, scenario: Scenario) -> None:
        scenario.start()
        change(api, scenario, when="drained")
        assert api.get("pending-changes/", {"state": "waiting"}).json()["count"] == 1
        assert api.get("pending-changes/", {"state": "applied"}).json()["count"] == 0
        values = {"workflow": scenario.callee.cuid}
        assert api.get("pending-changes/", values).json()["count"] == 1
        assert api.get("pending-changes/", {"workflow": "x"}).json()["count"] == 0
        assert api.get("pending-changes/", {"state": "gone"}).status_code == 400

    def test_list_costs_the_same_statements_for_many_changes(
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

    def test_deleted_workflow_keeps_its_title_in_the_change(
        self, api: Client, scenario: Scenario
    ) -> None:
        scenario.start()
        extra = WorkflowFactory(title="Extra", entity_name_type=scenario.limitation)
        values = change(api, scenario, scenario.caller, scenario.callee, extra, when="drained")
        api.delete(f"workflows/{extra.cuid}/")
        data = api.get(f"pending-changes/{values.json()['pending']['cuid']}/").json()
        named = {row["title"]: row["url"] for row in data["workflows"]}
        assert named["Extra"] is None
        assert named["Workflow 3"]

    @pytest.mark.parametrize(
        "permission", ["view_pendingchange", "change_workflow", "change_entity_context"]
    )
    def test_withdrawal_needs_the_permission_to_change_the_type(
        self, api: Client, scenario: Scenario, permission: str
    ) -> None:
        scenario.start()
        cuid = change(api, scenario, when="drained").json()["pending"]["cuid"]
        response = client_of(f"workflows.{permission}").delete(f"pending-changes/{cuid}/")
        assert response.status_code == (204 if permission == "change_entity_context" else 403)


class TestAudit:
    def test_audit_log_has_user_and_request_of_each_edit(
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
        (data,) = api.get("audit/", {"request_id": "mine-1"}).json()["results"]
        assert (data["refused"], data["code"]) == (True, "active_executions")
        assert data["detail"] == refused.json()["detail"]
        assert data["after"] == {"entity_name_type": scenario.exception.cuid}
        assert data["who"] == done[0]["who"]

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
    def test_refusal_writes_one_audit_entry(
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

    def test_malformed_request_id_is_replaced(self, api: Client) -> None:
        response = api.get("workflows/", headers={"X-Request-ID": "a b\tc"})
        assert response["X-Request-ID"].isalnum()

    def test_audit_log_is_read_only(self, api: Client) -> None:
        FindingTypeFactory()
        assert api.get("audit/1/").json()["id"] == 1
        assert api.post("audit/", {}).status_code == 405
        assert api.delete("audit/1/").status_code == 405
        for number in ("2", "x", "9" * 30):
            assert_problem(api.get(f"audit/{number}/"), 404, "not_found")

    @pytest.mark.both_databases
    def test_audit_log_is_filtered(self, api: Client, scenario: Scenario) -> None:
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

    def test_audit_log_needs_the_view_permission(self) -> None:
        assert client_of().get("audit/").status_code == 403
        assert client_of("workflows.view_auditentry").get("audit/").status_code == 200


def test_save_is_allowed_when_a_callee_is_draining(api: Client, scenario: Scenario) -> None:
    scenario.start()
    change(api, scenario, when="drained")
    other = WorkflowFactory(entity_name_type=scenario.limitation)
    assert save_line(other, call(scenario.callee)).number == 1
