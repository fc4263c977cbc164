"""Statistics of the tables that every start writes only from 2,000 changes on.

A connection keeps its plans until the tables of a plan are vacuumed or analyzed again. By default
that happens after 50 changes, and a plan made then scans these tables as a whole, while thousands of
rows are added in the minute before the next run of autovacuum. Without statistics, PostgreSQL
assumes tables of ten pages, and plans by the indexes.
"""

from django.db import migrations

TABLES = (
    "executions_execution",
    "executions_step",
    "executions_entity",
    "executions_closure",
    "executions_job",
    "executions_formdraft",
    "workflows_keptanswer",
)
SETTINGS = ("autovacuum_analyze_threshold", "autovacuum_vacuum_threshold")


def change(clause):
    def run(apps, schema_editor):
        if schema_editor.connection.vendor == "postgresql":
            for table in TABLES:
                schema_editor.execute(f"ALTER TABLE {table} {clause}")

    return run


class Migration(migrations.Migration):

    # The lock of each statement stops no reader and no writer.
    beside_traffic = True

    dependencies = [
        ("executions", "0044_fewer_key_indexes"),
        ("workflows", "0024_positions"),
    ]

    operations = [
        migrations.RunPython(
            change(f"SET ({', '.join(f'{name} = 2000' for name in SETTINGS)})"),
            change(f"RESET ({', '.join(SETTINGS)})"),
        ),
    ]
