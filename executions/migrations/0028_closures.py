"""Closures: one row for all roots that start on the same versions, instead of pins per root."""

from __future__ import annotations

from typing import Any

import django.db.models.deletion
import workflows.db.composite_keys
from django.db import migrations, models

# SQLite renames tables: a trigger that refers to a table that is gone would stop it.
OLD_TRIGGERS = ("executions_pin_sealed", "executions_pin_attached", "executions_pin_attached_parent")
# Installed already while the data is moved beside other transactions.
RELEASED = (
    "CREATE OR REPLACE FUNCTION executions_closure_released() RETURNS trigger LANGUAGE plpgsql"
    " AS $$ BEGIN UPDATE executions_closure SET context_key = NULL"
    " WHERE id = NEW.closure_id AND context_key IS NOT NULL; RETURN NULL; END $$",
    "CREATE OR REPLACE TRIGGER executions_closure_released"
    " AFTER UPDATE OF key ON executions_closuremember FOR EACH ROW"
    " WHEN (OLD.key IS NOT NULL AND NEW.key IS NULL)"
    " EXECUTE FUNCTION executions_closure_released()",
)


class AddKey(migrations.AddConstraint):
    """Add a foreign key. PostgreSQL checks the stored rows later, without a long lock."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        super().database_forwards(app_label, schema_editor, from_state, to_state)
        if schema_editor.connection.vendor == "postgresql":
            added = f'ADD CONSTRAINT "{self.constraint.name}"'
            [at] = [
                at for at, sql in enumerate(schema_editor.deferred_sql) if added in str(sql)
            ]
            schema_editor.deferred_sql[at] = f"{schema_editor.deferred_sql[at]} NOT VALID"


def drop_old_triggers(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "sqlite":
        for name in OLD_TRIGGERS:
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}")


def add_release_trigger(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for statement in RELEASED:
            schema_editor.execute(statement)


def drop_release_trigger(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION IF EXISTS executions_closure_released() CASCADE")


class Migration(migrations.Migration):
    dependencies = [
        ("executions", "0027_entity_external_id"),
        ("workflows", "0013_labels"),
    ]

    operations = [
        migrations.RunPython(drop_old_triggers, migrations.RunPython.noop, elidable=True),
        migrations.CreateModel(
            name="Closure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("context_key", models.TextField(editable=False, null=True)),
                ("checksum", models.CharField(editable=False, max_length=64)),
                ("version", models.ForeignKey(on_delete=django.db.models.deletion.DO_NOTHING, related_name="closures", to="workflows.version")),
                ("workflow", models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name="+", to="workflows.workflow")),
            ],
            options={
                "ordering": ["pk"],
                "permissions": [("view_pin", "Can view pinned versions")],
                "default_permissions": (),
                "constraints": [
                    workflows.db.composite_keys.KeyTarget(fields=("id", "context_key"), name="executions_closure_context"),
                    models.UniqueConstraint(condition=models.Q(("context_key__isnull", False)), fields=("checksum",), name="executions_closure_current"),
                ],
            },
        ),
        migrations.CreateModel(
            name="ClosureMember",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.TextField(editable=False, null=True)),
                ("callee", models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name="+", to="workflows.workflow")),
                ("closure", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="members", to="executions.closure")),
                ("version", models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name="closure_members", to="workflows.version")),
            ],
            options={
                "verbose_name": "pin",
                "ordering": ["closure", "pk"],
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["version", "key"], name="executions_members_of_version"),
                    models.Index(fields=["callee", "key"], name="executions_members_of_callee"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("closure", "callee"), name="executions_closuremember_callee"),
                    workflows.db.composite_keys.CompositeForeignKey(fields=("version", "callee", "key"), name="executions_closuremember_version_fk", on_update="CASCADE", to_fields=("id", "workflow", "held_key")),
                ],
            },
        ),
        migrations.AddField(
            model_name="execution",
            name="closure",
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, editable=False, help_text="The pinned versions of a root; empty for children and if nothing is called.", null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name="executions", to="executions.closure"),
        ),
        AddKey(
            model_name="execution",
            constraint=workflows.db.composite_keys.CompositeForeignKey(fields=("closure", "live_key"), name="executions_execution_closure_fk", to_fields=("id", "context_key")),
        ),
        AddKey(
            model_name="execution",
            constraint=workflows.db.composite_keys.CompositeForeignKey(fields=("closure",), name="executions_execution_closure_id_fk", to_fields=("id",)),
        ),
        migrations.RunPython(add_release_trigger, drop_release_trigger),
    ]
