"""A user in the graph editor."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client

from tests.workflows.admin.staff import page
from workflows.models import Workflow


class EditorSession:
    """A user in the graph editor of a workflow."""

    def __init__(self, client: Client, workflow: Workflow) -> None:
        self.client, self.url = client, page(workflow, "edit")

    def open(self, node: str = "") -> Any:
        return self.client.get(self.url, {"node": node} if node else {})

    def run(self, step: str, node: str = "", **sent: Any) -> Any:
        token = self.open().context["draft"].token
        if step == "add":
            # The button of a type sends its own name.
            sent["add"] = sent.pop("type")
        if "exit" in sent:
            sent["disconnect" if step == "disconnect" else f"{step}-exit"] = sent.pop("exit")
        return self.client.post(self.url, {"token": token, "step": step, "node": node, **sent})

    @property
    def source(self) -> dict[str, Any]:
        source: dict[str, Any] = self.open().context["draft"].source
        return source

    def exit_value(self, node: str, exit_: str | None = None, *, before: bool = True) -> str:
        for row in self.open(node).context["node"]["edges"]:
            if row["exit"] == exit_:
                return row["value"] if before else json.dumps([exit_, None])
        raise AssertionError(f"no such way: {exit_}")
