"""Check the plain foreign keys of executions, steps and closures in each statement.

A deferred check is queued as an event for each row and locks at the commit, out of order. The
tables are written by one statement in an order that satisfies the keys. SQLite keeps its keys.
"""

from django.db import migrations

TABLES = (
    *("executions_execution", "executions_step"),
    *("executions_closure", "executions_closuremember"),
)


def _alter(schema_editor, timing, deferrable):
    if schema_editor.connection.vendor != "postgresql":
        return
    with schema_editor.connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(
                "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass"
                " AND contype = 'f' AND condeferrable = %s ORDER BY conname",
                [table, deferrable],
            )
            # The composite keys were never deferrable; their names end with _fk.
            for name in [row[0] for row in cursor.fetchall() if not row[0].endswith("_fk")]:
                quoted = schema_editor.quote_name(name)
                cursor.execute(f"ALTER TABLE {table} ALTER CONSTRAINT {quoted} {timing}")


def check_in_each_statement(apps, schema_editor):
    _alter(schema_editor, "NOT DEFERRABLE", True)


def check_at_commit(apps, schema_editor):
    _alter(schema_editor, "DEFERRABLE INITIALLY DEFERRED", False)


class Migration(migrations.Migration):

    # The write-once triggers stay in place.
    beside_traffic = True

    dependencies = [
        ('executions', '0032_fold_passed_nodes'),
    ]

    operations = [
        migrations.RunPython(check_in_each_statement, check_at_commit),
    ]
