"""Operators see webhooks and have things delivered again; administrators manage them.

A group whose permissions a maintainer has changed, or that only has the name of a role, is given
them as well where it had what the role is known by: whoever operates, whoever keeps the secrets.
"""

from __future__ import annotations

from django.contrib.auth.management import create_permissions
from django.db import migrations

SEES = ("view_subscription", "view_outgoingdelivery", "redeliver_outgoingdelivery")
KEEPS = ("add_subscription", "change_subscription", "delete_subscription")
GIVEN = {
    "operator": ("change_execution", SEES),
    "administrator": ("change_secret", (*SEES, *KEEPS)),
}


def give(apps, schema_editor):
    using = schema_editor.connection.alias
    _make_permissions(apps, using)
    rows = apps.get_model("auth", "Permission").objects.using(using)
    permissions = {row.codename: row for row in rows.filter(content_type__app_label="executions")}
    groups = apps.get_model("auth", "Group").objects.using(using)
    for name, (known_by, given) in GIVEN.items():
        for group in groups.filter(name=name, permissions=permissions[known_by]):
            group.permissions.add(*(permissions[codename] for codename in given))


def _make_permissions(apps, using):
    """Django makes them when all migrations are done: too late, and the same rows."""
    for config in apps.get_app_configs():
        config.models_module = True
        create_permissions(config, verbosity=0, using=using, apps=apps)
        config.models_module = None


class Migration(migrations.Migration):
    dependencies = [
        ("executions", "0011_webhooks"),
        ("holdfast", "0001_roles"),
    ]

    operations = [
        # Who has been given them keeps them when the migration is undone.
        migrations.RunPython(give, migrations.RunPython.noop),
    ]
