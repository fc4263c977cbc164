"""Secrets whose names nobody can tell apart become impossible.

Names of secrets are ASCII. Rows that are there keep theirs: of those that differ only in case, the
first gets the key.
"""

import hashlib

from django.db import migrations, models


def fill(apps, schema_editor):
    rows = apps.get_model("executions", "Secret")._base_manager.using(schema_editor.connection.alias)
    taken = set()
    for row in rows.order_by("pk").iterator():
        found = hashlib.sha256(row.name.casefold().encode()).hexdigest()
        if found not in taken:
            taken.add(found)
            rows.filter(pk=row.pk).update(name_key=found)


class Migration(migrations.Migration):

    dependencies = [("executions", "0015_fewer_keys_and_indexes")]

    operations = [
        migrations.AddField(
            "secret", "name_key", models.CharField(editable=False, max_length=64, null=True)
        ),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
        migrations.AddConstraint(
            model_name="secret",
            constraint=models.UniqueConstraint(
                condition=models.Q(("name_key__isnull", False)),
                fields=("name_key",),
                name="executions_secret_name",
            ),
        ),
    ]
