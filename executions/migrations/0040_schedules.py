"""Schedules, their occurrences, and the starts that they have made."""

import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    beside_traffic = True

    dependencies = [
        ('executions', '0039_item'),
        ('workflows', '0019_schedules'),
    ]

    operations = [
        migrations.CreateModel(
            name='Schedule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('trigger_data', models.JSONField()),
                ('served_until', models.DateTimeField()),
                ('window_end', models.DateTimeField(null=True)),
                ('last_entity', models.BigIntegerField(default=0)),
                ('due_at', models.DateTimeField(db_index=True)),
            ],
            options={
                'ordering': ['due_at', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='ScheduledStart',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('occurrence', models.DateTimeField()),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), db_index=True, default=django.utils.timezone.now)),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.AddField(
            model_name='triggeredstart',
            name='occurrence',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddConstraint(
            model_name='triggeredstart',
            constraint=models.UniqueConstraint(fields=('workflow', 'entity', 'occurrence'), name='executions_triggered_start_occurrence'),
        ),
        migrations.AddField(
            model_name='schedule',
            name='workflow',
            field=models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workflows.workflow'),
        ),
        migrations.AddField(
            model_name='scheduledstart',
            name='entity',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='executions.entity'),
        ),
        migrations.AddField(
            model_name='scheduledstart',
            name='workflow',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workflows.workflow'),
        ),
        migrations.AddConstraint(
            model_name='scheduledstart',
            constraint=models.UniqueConstraint(fields=('workflow', 'entity', 'occurrence'), name='executions_scheduled_once'),
        ),
    ]
