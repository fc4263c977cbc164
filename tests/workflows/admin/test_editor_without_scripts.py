"""The graph editor without scripts: its forms and links, sent as a browser sends them."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from tests.conftest import Scenario
from tests.workflows.admin.forms import form_of
from workflows.graph import parse
from workflows.models import GraphDraft, Workflow

pytestmark = pytest.mark.django_db

CONTROL = re.compile(
    r"<(?:a|button)\s([^>]*)>(.*?)</(?:a|button)>|<input type=\"submit\"\s([^>]*)>", re.S
)
ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')


class Visitor:
    """A user without scripts, who follows links and presses buttons by their names."""

    def __init__(self, client: Client, address: str) -> None:
        self.client, self.clicks, self.typed = client, 0, dict[str, str]()
        self._show(client.get(address))

    def _show(self, response: Any) -> None:
        while response.status_code == 302:
            self.typed = {}
            response = self.client.get(response["Location"])
        assert response.status_code == 200
        self.response, self.html = response, response.content.decode()
        self.address = response.request["PATH_INFO"] + "?" + response.request["QUERY_STRING"]

    def _find(self, name: str) -> dict[str, str]:
        """Return the attributes of the first link or button with this name."""
        for match in CONTROL.finditer(
            re.sub(r"<template>.*?</template>", "", self.html, flags=re.S)
        ):
            found = dict(ATTRIBUTE.findall(match[1] or match[3]))
            text = " ".join(strip_tags(match[2] or found.get("value", "")).split())
            if name in (unescape(text), unescape(found.get("aria-label", ""))):
                return {key: unescape(value) for key, value in found.items()}
        raise AssertionError(f"The page {self.address} has no link or button “{name}”.")

    def follow(self, name: str) -> None:
        """Follow a link."""
        self.clicks += 1
        self._show(self.client.get(self._find(name)["href"].partition("#")[0]))

    def write(self, **texts: str) -> None:
        """Type into inputs: in the names, two underscores stand for a slash."""
        self.typed |= {
            name.replace("__", "/").replace("_of_", "-"): text for name, text in texts.items()
        }

    def choose(self, **options: str) -> None:
        """Choose options, which counts as two clicks each."""
        self.clicks += 2 * len(options)
        self.write(**options)

    def press(self, name: str, *, having: str = "next") -> None:
        """Press a button of the form with this input. All inputs of the form are sent."""
        self.clicks += 1
        button = self._find(name)
        assert "disabled" not in button
        sent = form_of(self.response, having=having)
        if unknown := set(self.typed) - set(sent) - {"notes"}:
            raise AssertionError(f"The form has no inputs {unknown}.")
        sent |= self.typed | {button["name"]: button.get("value", "")}
        self.typed = {}
        self._show(self.client.post(self.address, sent))


def test_build_five_nodes_with_a_call_in_26_clicks(
    admin_client: Client, scenario: Scenario
) -> None:
    designer = Visitor(admin_client, "/admin/workflows/workflow/")
    designer.follow("Add workflow")
    designer.write(title="Triage")
    designer.choose(entity_name_type=str(scenario.callee.entity_name_type_id))
    designer.press("Save and continue editing", having="title")
    designer.follow("Edit graph")
    designer.follow("Start, Start")
    designer.write(label="Look at it")
    designer.press("User action")
    designer.press("+ Add form field")
    designer.write(data__fields__0__name="severity")
    designer.press("Apply")
    designer.write(label="Severe?")
    designer.press("Condition")
    designer.write(data__branches__0__handle="minor", data__branches__0__rule__0__field="severity")
    designer.choose(data__branches__0__rule__0__op="lt")
    designer.write(data__branches__0__rule__0__value="3")
    designer.press("Apply")
    assert "not connected" in designer.html
    (before_end,) = re.findall(r'<option value="([^"]*)"[^>]*>default: before End<', designer.html)
    designer.choose(add_of_exit=unescape(before_end))
    designer.write(label="Remedy")
    designer.press("Run workflow")
    designer.choose(data__workflow=scenario.callee.cuid)
    designer.press("Apply")
    designer.write(label="Done")
    designer.press("Set state")
    designer.write(data__state="Remedied")
    designer.press("Apply")
    assert "Fix 1 problem before you save" in designer.html
    designer.follow("Severe?")
    designer.choose(target="end")
    designer.press("Connect")
    designer.write(notes="New workflow")
    designer.press("Save")
    graph = parse(Workflow.objects.get(title="Triage").latest_version.source)
    assert len(graph.nodes) == 6
    assert graph.callee_cuids() == [scenario.callee.cuid]
    assert not GraphDraft.objects.exists()
    assert designer.clicks == 26
