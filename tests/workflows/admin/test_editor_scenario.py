"""The graph editor, from an empty graph to a saved version."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.conftest import Scenario
from tests.factories import WorkflowFactory
from tests.workflows.admin.editor_session import EditorSession
from tests.workflows.admin.staff import list_messages, text
from workflows.graph import parse
from workflows.models import GraphDraft

pytestmark = pytest.mark.django_db


def test_editor_builds_workflow_of_five_nodes(admin_client: Client, scenario: Scenario) -> None:
    workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    editor = EditorSession(admin_client, workflow)
    at = "start"
    for kind, label in [
        ("user_action", "Triage"),
        ("condition", "Severe?"),
        ("run_workflow", "Remedy"),
        ("set_state", "Done"),
    ]:
        exit_ = "default" if at == "condition" else None
        answer = editor.run("add", at, type=kind, label=label, exit=editor.exit_value(at, exit_))
        assert answer["Location"].endswith(f"?node={kind}#diagram-selected")
        at = kind
    editor.run(
        "set",
        "user_action",
        **{"data/label": "Triage", "data/fields#rows": "1", "data/fields/0/name": "severity"},
    )
    rule = "data/branches/0/rule"
    editor.run(
        "set",
        "condition",
        **{
            "data/label": "Severe?",
            "data/branches#rows": "1",
            "data/branches/0/handle": "minor",
            f"{rule}#rows": "1",
            f"{rule}/0/field": "severity",
            f"{rule}/0/op": "lt",
            f"{rule}/0/value": "3",
        },
    )
    editor.run("connect", "condition", exit='["minor", null]', target="set_state")
    html = text(editor.open("run_workflow"))
    assert f'<option value="{scenario.callee.cuid}">{scenario.callee.title}</option>' in html
    editor.run("set", "run_workflow", **{"data/workflow": scenario.callee.cuid})
    editor.run("set", "set_state", **{"data/label": "Done", "data/state": "Remedied"})
    assert editor.open().context["problems_total"] == 0
    answer = editor.run("save", notes="From nothing")
    assert list_messages(answer)[0].startswith("Version 1 was replaced.")
    version = workflow.latest_version
    graph = parse(version.source)
    assert len(graph.nodes) == 6
    assert graph.callee_cuids() == [scenario.callee.cuid]
    assert (version.notes, version.created_by.username) == ("From nothing", "admin")
    assert not GraphDraft.objects.exists()
