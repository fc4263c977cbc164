"""API: node types for graph editors."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from rest_framework.test import APIClient

from tests.workflows.api.clients import Client, assert_problem, client_of
from workflows.graph import node_types


@pytest.fixture
def reader(db: None) -> Client:
    """Return a client without permissions."""
    return client_of()


def listed(client: Client) -> dict[str, Any]:
    body = client.get("node-types/").json()
    assert body["count"] == len(body["results"]) and body["next"] is None
    return {row["name"]: row for row in body["results"]}


def test_every_user_reads_all_node_types(reader: Client) -> None:
    found = listed(reader)
    assert list(found) == sorted(node_types())
    for name, row in found.items():
        assert set(row) == {
            *("name", "title", "description", "ends", "forks", "handles", "optional_handles"),
            "schema",
        }
        Draft202012Validator.check_schema(row["schema"])
        assert reader.get(f"node-types/{name}/").json() == row


def test_node_types_need_authentication(db: None) -> None:
    assert_problem(APIClient().get("/api/v1/node-types/"), 401, "not_authenticated")


def test_exits_are_unnamed_or_named_by_the_type_or_the_data(
    reader: Client,
) -> None:
    found = listed(reader)
    assert found["wait"]["handles"] == [] and found["end"]["handles"] == []
    assert found["approval"]["handles"] == ["approved", "rejected"]
    assert found["condition"]["handles"] is None
    assert found["end"]["ends"] and not found["wait"]["ends"]
    assert found["parallel"]["forks"] and not found["join"]["forks"]


def test_known_etag_is_answered_with_304(reader: Client) -> None:
    for path in ("node-types/", "node-types/wait/"):
        etag = reader.etag(path)
        again = reader.get(path, headers={"If-None-Match": etag})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", etag)
        assert reader.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_unknown_node_type_is_not_found(reader: Client) -> None:
    body = assert_problem(reader.get("node-types/usr_action/"), 404, "not_found")
    assert "'usr_action'" in body["detail"]


def test_schema_accepts_exactly_the_data_that_can_be_saved(api: Client) -> None:
    kind = api.post("finding-types/", {"name": "Limitation"}).json()
    values = {"title": "W", "entity_name": "Finding", "entity_name_type": kind["cuid"]}
    workflow = api.post("workflows/", values).json()
    (example, *_) = api.get("node-types/set_state/").json()["schema"]["examples"]

    def saved(data: dict[str, Any]) -> Any:
        nodes = [
            {"id": "start", "type": "start"},
            {"id": "n", "type": "set_state", "data": data},
            {"id": "end", "type": "end"},
        ]
        edges = [{"source": "start", "target": "n"}, {"source": "n", "target": "end"}]
        return api.post(f"workflows/{workflow['cuid']}/1/", {"nodes": nodes, "edges": edges})

    assert saved(example).status_code == 200
    body = assert_problem(saved({**example, "progress": 101}), 400, "invalid_graph")
    assert body["errors"][0]["pointer"] == "/nodes/1/data/progress"
    assert body["detail"] == "“n”: The progress must be at most 100."
