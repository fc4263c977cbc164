"""Texts for people; nothing changes in the database."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('workflows', '0010_actions_in_the_audit_log'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name='auditentry',
            name='face',
            field=models.CharField(choices=[('admin', 'Admin'), ('api', 'API'), ('command', 'Command'), ('python', 'Python')], max_length=32, verbose_name='interface'),
        ),
        migrations.AlterField(
            model_name='savedfilter',
            name='list',
            field=models.CharField(help_text='The model of the list, as app.model.', max_length=100),
        ),
        migrations.AlterField(
            model_name='savedfilter',
            name='shared',
            field=models.BooleanField(default=False, help_text='Everyone can use the filter.', verbose_name='shared with everyone'),
        ),
        migrations.AlterField(
            model_name='workflow',
            name='trigger',
            field=models.CharField(choices=[('manual', 'Manual'), ('created', 'When an entity is created'), ('changed', 'When a field changes'), ('webhook', 'Signed webhook')], default='manual', help_text='Starts the workflow while it is active. Users can always start it manually as well.', max_length=32),
        ),
        migrations.AlterField(
            model_name='workflow',
            name='trigger_data',
            field=models.JSONField(blank=True, default=dict, help_text='When a field changes: {"fields": ["severity"], "rule": {"field": "severity", "op": "gte", "value": 3}}; both are optional, and a rule has the form of a condition. Signed webhook: {"secret": "NAME"}. Other triggers: {}.'),
        ),
        migrations.AlterConstraint(
            model_name='savedfilter',
            name='workflows_savedfilter_once',
            constraint=models.UniqueConstraint(fields=('user', 'list', 'name'), name='workflows_savedfilter_once', violation_error_message='You already have a filter with this name.'),
        ),
    ]
