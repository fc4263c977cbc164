"""Move the last pins to closures, and remove the table of pins."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.db import migrations

_move = import_module("executions.migrations.0029_closures_of_executions").move


def move_the_rest(apps: Any, schema_editor: Any) -> None:
    """Move the pins of the roots that have started since, while no other root starts."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "LOCK TABLE executions_execution, executions_pin IN ACCESS EXCLUSIVE MODE"
        )
    _move(apps, schema_editor)
    if schema_editor.connection.vendor == "postgresql":
        # A table with pending checks cannot be altered.
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def move_permission(apps: Any, schema_editor: Any) -> None:
    """Keep the permission to view pinned versions; remove the others on pins."""
    db = schema_editor.connection.alias
    types = apps.get_model("contenttypes", "ContentType").objects.using(db)
    permissions = apps.get_model("auth", "Permission").objects.using(db)
    old = types.filter(app_label="executions", model="pin").first()
    if old is None:
        return
    permissions.filter(content_type=old).exclude(codename="view_pin").delete()
    new = types.filter(app_label="executions", model="closure").first()
    if new is None:
        types.filter(pk=old.pk).update(model="closure")
        permissions.filter(content_type=old).update(name="Can view pinned versions")
        return
    target, _ = permissions.get_or_create(
        content_type=new, codename="view_pin", defaults={"name": "Can view pinned versions"}
    )
    for permission in permissions.filter(content_type=old):
        target.group_set.add(*permission.group_set.all())
        target.user_set.add(*permission.user_set.all())
    old.delete()


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("executions", "0029_closures_of_executions"),
    ]

    operations = [
        migrations.RunPython(move_the_rest, migrations.RunPython.noop),
        migrations.DeleteModel(name="Pin"),
        migrations.RemoveConstraint(model_name="execution", name="executions_execution_live"),
        migrations.RunPython(move_permission, migrations.RunPython.noop),
    ]
