"""Take the screenshots of the documentation again.

Run ``python docs/screenshots.py`` after a change of a page. It creates demo data in a temporary
database, serves it, and photographs the pages with headless Chromium. Look at the results in
``docs/images`` before you commit them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
PORT = 8765
ADDRESS = f"http://127.0.0.1:{PORT}"
PASSWORD = "only for screenshots"
WIDTH = 1280
FINDINGS = (
    "PD floor not documented",
    "Low-default portfolio",
    "Proxy for collateral values",
    "Small sample of defaults",
    "Override rate above limit",
    "Backtest of the LGD model",
)


@dataclass(frozen=True)
class Picture:
    """A picture: its name, the page, its height, and the theme."""

    name: str
    path: str
    height: int = 820
    scheme: str = "light"


def node(name: str, node_type: str, label: str, **data: Any) -> dict[str, Any]:
    """Return a node."""
    return {"id": name, "type": node_type, "data": {"label": label, **data}}


def graph(nodes: list[dict[str, Any]], *edges: str) -> dict[str, Any]:
    """Return a graph. An edge is written ``source target`` or ``source:exit target``."""
    found = []
    for edge in edges:
        start, target = edge.split()
        source, _, handle = start.partition(":")
        found.append(
            {"source": source, "target": target} | ({"sourceHandle": handle} if handle else {})
        )
    return {"nodes": nodes, "edges": found}


def remediation() -> dict[str, Any]:
    """Return the graph of the workflow that the others call."""
    fields = [{"name": "remedy", "label": "Remedy", "type": "text", "required": True}]
    nodes = [
        node("start", "start", "Start"),
        node("describe", "user_action", "Describe the remedy", fields=fields),
        node("end", "end", "End"),
    ]
    return graph(nodes, "start describe", "describe end")


def review(callee: str) -> dict[str, Any]:
    """Return a graph with a fork, an approval and a call."""
    severity = {
        "name": "severity",
        "label": "Severity",
        "type": "choice",
        "choices": ["low", "medium", "high"],
        "required": True,
    }
    opinion = [{"name": "opinion", "label": "Opinion", "type": "text"}]
    rule = {"field": "severity", "op": "eq"}
    branches = [
        {"handle": "high", "rule": {**rule, "value": "high"}},
        {"handle": "medium", "rule": {**rule, "value": "medium"}},
    ]
    nodes = [
        node("start", "start", "Start"),
        node("triage", "user_action", "Triage", title="Assess the finding", fields=[severity]),
        node("how_severe", "condition", "How severe?", branches=branches),
        node("both", "parallel", "Two reviews"),
        node("first", "user_action", "First review", fields=opinion),
        node("second", "user_action", "Review by the model owner", fields=opinion),
        node("reviewed", "join", "Reviews done"),
        node("accept", "approval", "Accept the risk?", groups=["operator"]),
        node("remedy", "run_workflow", "Remedy", workflow=callee),
        node("closed", "end", "Closed"),
        node("dismissed", "end", "Dismissed"),
    ]
    return graph(
        nodes,
        *("start triage", "triage how_severe", "how_severe:high both", "both first"),
        *("how_severe:medium accept", "how_severe:default dismissed", "both second"),
        *("first reviewed", "second reviewed", "reviewed accept", "accept:approved closed"),
        *("accept:rejected remedy", "remedy closed"),
    )


def yearly(callee: str) -> dict[str, Any]:
    """Return a graph whose form has a deadline."""
    nodes = [
        node("start", "start", "Start"),
        node(
            "prepare",
            "user_action",
            "Prepare the review",
            fields=[{"name": "scope", "label": "Scope", "type": "text"}],
            deadline={"after": "PT1S"},
        ),
        node("remedy", "run_workflow", "Remedy", workflow=callee),
        node("end", "end", "End"),
    ]
    return graph(nodes, "start prepare", "prepare remedy", "remedy end")


def prepare() -> list[Picture]:
    """Create the demo data. Return the pictures to take."""
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Group

    from executions import services
    from executions.models import Finding
    from executions.worker.rounds import run_due
    from workflows.editing import save_graph
    from workflows.models import FindingType, Workflow

    user = get_user_model().objects.create_superuser("operator", password=PASSWORD)
    user.groups.add(Group.objects.get(name="operator"))
    limitation = FindingType.objects.create(name="Model Limitation")
    exception = FindingType.objects.create(name="Policy Exception")

    def workflow(title: str, source: dict[str, Any]) -> Any:
        made = Workflow.objects.create(title=title, entity_name_type=limitation, state="active")
        assert save_graph(made, source, based_on=1).version
        return Workflow.objects.get(pk=made.pk)

    callee = workflow("Remediation of a model limitation", remediation())
    caller = workflow("Review of a model limitation", review(callee.cuid))
    annual = workflow("Annual review of a model", yearly(callee.cuid))

    def start(used: Any, title: str, severity: str = "") -> Any:
        finding = Finding.objects.create(title=title, entity_name_type=limitation)
        execution = services.start(used, finding, by=user)
        if severity:
            data = {"severity": severity}
            services.submit(execution, node="triage", data=data, by=user)
        return execution

    failed = start(caller, FINDINGS[0], "medium")
    services.vote(failed, node="accept", approves=False, by=user)
    services.cancel(failed.children.get(), by=user, why="Started on the wrong finding")
    for title, severity in zip(FINDINGS[1:5], ("high", "medium", "high", ""), strict=True):
        start(caller, title, severity)
    start(annual, FINDINGS[5])
    time.sleep(1.5)
    run_due()
    group = ",".join(str(row.pk) for row in (callee, caller, annual))
    change = urlencode({"workflows": group, "type": f"finding-{exception.pk}"})
    workflows, executions = "/admin/workflows/workflow", "/admin/executions/execution"
    return [
        Picture("workflow-locked", f"{workflows}/{callee.pk}/change/", 1640),
        Picture("change-when-drained", f"{workflows}/change-type/?{change}", 1120),
        Picture("execution", f"{executions}/{failed.pk}/change/", 1500),
        Picture("graph-editor", f"{workflows}/{caller.pk}/edit/?node=triage"),
        Picture("home", "/admin/"),
        Picture("inbox-dark", f"{executions}/inbox/", scheme="dark"),
        Picture("workflow-graph", f"{workflows}/{caller.pk}/change/", 1400),
    ]


@contextmanager
def serving() -> Iterator[None]:
    """Serve the admin, with a worker beside it."""
    commands = (["runserver", "--noreload", f"127.0.0.1:{PORT}"], ["work"])
    processes = [
        subprocess.Popen([sys.executable, "manage.py", *command], cwd=ROOT, stderr=subprocess.PIPE)
        for command in commands
    ]
    try:
        while not is_ready():
            time.sleep(0.2)
        yield
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def is_ready() -> bool:
    """Return True if the server is ready and a worker was seen."""
    try:
        with urlopen(f"{ADDRESS}/readyz") as answer:
            return bool(answer.status == 200)
    except (HTTPError, URLError):
        return False


def photograph(pictures: list[Picture]) -> None:
    """Log in and take the pictures."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"{ADDRESS}/admin/login/")
        page.get_by_label("Username").fill("operator")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        for picture in pictures:
            page.emulate_media(color_scheme=picture.scheme)
            page.set_viewport_size({"width": WIDTH, "height": picture.height})
            answer = page.goto(ADDRESS + picture.path)
            assert answer.status == 200, f"{picture.name}: {answer.status}"
            page.screenshot(path=IMAGES / f"{picture.name}.png")
        browser.close()


def main() -> None:
    """Create the data, serve it, and take the pictures."""
    with tempfile.TemporaryDirectory() as directory:
        os.environ |= {
            "DEBUG": "1",
            "DATABASE_URL": f"sqlite:///{directory}/db.sqlite3",
            "DJANGO_SETTINGS_MODULE": "workflows_project.settings",
        }
        sys.path.insert(0, str(ROOT))
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        pictures = prepare()
        with serving():
            photograph(pictures)


if __name__ == "__main__":
    main()
