"""Failed logins by account and by address. Administrators see and unlock them.

A group that a maintainer has changed is given it as well where it changes users.
"""

from __future__ import annotations

from django.contrib.auth.management import create_permissions
from django.db import migrations, models


def give(apps, schema_editor):
    using = schema_editor.connection.alias
    _make_permissions(apps, using)
    rows = apps.get_model("auth", "Permission").objects.using(using)
    given = rows.filter(
        content_type__app_label="holdfast",
        codename__in=("view_failedlogins", "delete_failedlogins"),
    )
    known_by = rows.get(content_type__app_label="auth", codename="change_user")
    groups = apps.get_model("auth", "Group").objects.using(using)
    for group in groups.filter(name="administrator", permissions=known_by):
        group.permissions.add(*given)


def _make_permissions(apps, using):
    """Django makes them when all migrations are done: too late, and the same rows."""
    for config in apps.get_app_configs():
        config.models_module = True
        create_permissions(config, verbosity=0, using=using, apps=apps)
        config.models_module = None


class Migration(migrations.Migration):
    beside_traffic = True

    dependencies = [
        ("holdfast", "0003_saved_filters"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="FailedLogins",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("scope", models.CharField(choices=[("account", "Account"), ("address", "Address")], max_length=8, verbose_name="scope")),
                ("name", models.CharField(max_length=150, verbose_name="account or address")),
                ("failures", models.PositiveIntegerField(default=0, verbose_name="failures")),
                ("first_at", models.DateTimeField(verbose_name="first failure")),
                ("last_at", models.DateTimeField(db_index=True, verbose_name="last failure")),
            ],
            options={
                "verbose_name": "failed logins",
                "verbose_name_plural": "failed logins",
                "constraints": [models.UniqueConstraint(fields=("scope", "name"), name="holdfast_failedlogins_of_one")],
            },
        ),
        # Who has been given it keeps it when the migration is undone.
        migrations.RunPython(give, migrations.RunPython.noop),
    ]
