"""Indexes for the orders of the list of tasks."""

from django.db import migrations, models

from workflows.db.migration_operations import AddIndexBesideTraffic


class Migration(migrations.Migration):

    # The write-once triggers stay in place.
    beside_traffic = True
    atomic = False

    dependencies = [
        ('executions', '0037_comments'),
    ]

    operations = [
        AddIndexBesideTraffic(
            model_name='step',
            index=models.Index(condition=models.Q(('due_at__isnull', False), ('state__in', ('open', 'incident'))), fields=['due_at', 'id'], name='executions_open_by_due'),
        ),
        AddIndexBesideTraffic(
            model_name='step',
            index=models.Index(condition=models.Q(('due_at__isnull', True), ('state__in', ('open', 'incident'))), fields=['id'], name='executions_open_without_due'),
        ),
        AddIndexBesideTraffic(
            model_name='step',
            index=models.Index(condition=models.Q(('state__in', ('open', 'incident'))), fields=['opened_at', 'id'], name='executions_open_by_opening'),
        ),
    ]
