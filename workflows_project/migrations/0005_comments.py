"""Participants, operators and administrators comment on executions.

A group is given the permission if it still has the permission that defines its role.
"""

from __future__ import annotations

from django.contrib.auth.management import create_permissions
from django.db import migrations

DEFINED_BY = {
    "participant": "submit_execution",
    "operator": "change_execution",
    "administrator": "change_secret",
}


def give(apps, schema_editor):
    using = schema_editor.connection.alias
    _create_permissions(apps, using)
    rows = apps.get_model("auth", "Permission").objects.using(using)
    permissions = {row.codename: row for row in rows.filter(content_type__app_label="executions")}
    groups = apps.get_model("auth", "Group").objects.using(using)
    for name, codename in DEFINED_BY.items():
        for group in groups.filter(name=name, permissions=permissions[codename]):
            group.permissions.add(permissions["add_comment"])


def _create_permissions(apps, using):
    """Create them now: Django does so when all migrations are done, too late."""
    for config in apps.get_app_configs():
        config.models_module = True
        create_permissions(config, verbosity=0, using=using, apps=apps)
        config.models_module = None


class Migration(migrations.Migration):

    # The write-once triggers stay in place.
    beside_traffic = True

    dependencies = [
        ("executions", "0037_comments"),
        ("holdfast", "0004_failed_logins"),
    ]

    operations = [
        # The permission stays with the groups when the migration is undone.
        migrations.RunPython(give, migrations.RunPython.noop),
    ]
