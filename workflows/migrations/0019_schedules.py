"""Workflows that a schedule starts."""

from django.db import migrations, models


def forget(apps, schema_editor):
    """Without the trigger, only people start these workflows."""
    rows = apps.get_model("workflows", "Workflow")._base_manager
    scheduled = rows.using(schema_editor.connection.alias).filter(trigger="schedule")
    scheduled.update(trigger="manual", trigger_data={})


class Migration(migrations.Migration):

    # The table is small: checking its rows takes a moment.
    beside_traffic = True

    dependencies = [
        ('workflows', '0018_excluding_candidates'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='workflow',
            name='workflows_workflow_trigger',
        ),
        migrations.AlterField(
            model_name='workflow',
            name='trigger',
            field=models.CharField(choices=[('manual', 'Manual'), ('created', 'When an entity is created'), ('changed', 'When a field changes'), ('webhook', 'Signed webhook'), ('schedule', 'On a schedule')], default='manual', help_text='Starts the workflow while it is active. Users can always start it manually as well.', max_length=32),
        ),
        migrations.AlterField(
            model_name='workflow',
            name='trigger_data',
            field=models.JSONField(blank=True, default=dict, help_text='When a field changes: {"fields": ["severity"], "rule": {"field": "severity", "op": "gte", "value": 3}}; both are optional, and a rule has the form of a condition. Signed webhook: {"secret": "NAME"}. On a schedule: {"cron": "0 9 1 */3 *"} or {"every": "P1Y", "from_field": "validated_on"}, each with an optional rule. Other triggers: {}.'),
        ),
        migrations.AddConstraint(
            model_name='workflow',
            constraint=models.CheckConstraint(condition=models.Q(('trigger__in', ['manual', 'created', 'changed', 'webhook', 'schedule'])), name='workflows_workflow_trigger'),
        ),
        migrations.RunPython(migrations.RunPython.noop, forget),
    ]
