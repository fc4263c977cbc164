"""Open steps take over who is asked from the graphs that their executions run."""

import json
from typing import Any

from django.db import migrations

FOR_PEOPLE = ("user_action", "approval")


def asked(node: dict[str, Any]) -> str:
    data = node.get("data", {})
    named = data.get("assignees", data)
    found = {name: sorted(set(named[name])) for name in ("groups", "users") if named.get(name)}
    if not found:
        return ""
    return json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def take_over(apps: Any, schema_editor: Any) -> None:
    Step = apps.get_model("executions", "Step")
    Version = apps.get_model("workflows", "Version")
    db = schema_editor.connection.alias
    steps = Step.objects.using(db).filter(state__in=("open", "incident"), type__in=FOR_PEOPLE)
    versions = steps.order_by().values("execution__version")
    for version in Version.objects.using(db).filter(pk__in=versions).iterator(500):
        for node in version.source.get("nodes", []):
            if node.get("type") in FOR_PEOPLE and (named := asked(node)):
                at = steps.filter(execution__version=version.pk, node_id=node["id"])
                at.update(assignees=named)


class Migration(migrations.Migration):
    dependencies = [
        ("executions", "0013_step_assignees"),
        ("workflows", "0005_who_changes_contexts"),
    ]

    operations = [migrations.RunPython(take_over, migrations.RunPython.noop, elidable=True)]
