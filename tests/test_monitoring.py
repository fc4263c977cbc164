"""The alert rules and the dashboard in ``deploy/monitoring`` use metrics that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings as project

from executions.models import WorkerKind
from executions.worker import heartbeat
from tests.conftest import Scenario
from tests.test_metrics import BEARER, measured, on  # noqa: F401

ROOT = Path(project.BASE_DIR)
FOLDER = ROOT / "deploy" / "monitoring"
GUIDE = ROOT / "docs" / "how-to" / "operate" / "monitor.md"
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
# Labels that Prometheus itself adds.
ADDED = {"instance", "job"}


def expressions() -> list[str]:
    targets = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [*targets, *(rule["expr"] for rule in RULES)]


def used_metrics(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:holdfast|process|python)_\w+", expression))


def used_labels(expression: str) -> set[str]:
    grouped = re.findall(r"\b(?:by|on|group_left) \(([\w, ]*)\)", expression)
    matched = re.findall(r"(\w+)\s*(?:=~|!=|!~|=)\s*\"", expression)
    return {name.strip() for names in grouped for name in names.split(",")} | set(matched)


@pytest.mark.django_db
def test_expressions_use_metrics_and_labels_of_a_server(measured: Any, scenario: Scenario) -> None:  # noqa: F811
    scenario.start()
    heartbeat.beat(WorkerKind.WORK)
    measured.edit(f"workflows/{scenario.caller.cuid}/", entity_name_type=scenario.exception.cuid)
    text = measured.get("/metrics", headers=BEARER).content.decode()
    samples = re.findall(r"^(\w+)(?:\{(.*)\})? ", text, re.MULTILINE)
    labels: dict[str, set[str]] = {}
    for name, given in samples:
        labels.setdefault(name, set()).update(re.findall(r"(\w+)=\"", given))
    for expression in expressions():
        metrics = used_metrics(expression)
        assert metrics and metrics <= set(labels), expression
        known = ADDED.union(*(labels[name] for name in metrics))
        assert used_labels(expression) <= known, expression


def test_every_own_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    declared = set()
    for path in (ROOT / "workflows_project" / "ops").glob("*metrics.py"):
        names = re.findall(r'"(holdfast_\w+)"|_gauge\(\s*"(\w+)"', path.read_text())
        declared |= {own or f"holdfast_{gauge}" for own, gauge in names}
    used = {re.sub("_bucket$", "", name) for row in expressions() for name in used_metrics(row)}
    assert used == declared
    guide = GUIDE.read_text()
    assert declared == set(re.findall(r"^\| `(holdfast_\w+)", guide, re.MULTILINE))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_alert_has_a_runbook_section(rule: dict[str, Any]) -> None:
    assert rule["annotations"]["summary"]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["runbook"] == f"#{rule['alert'].lower()}"
    assert f"\n### {rule['alert']}\n" in GUIDE.read_text()


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)


def test_prometheus_accepts_the_alert_rules() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    command = [promtool, "check", "rules", str(FOLDER / "alerts.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
