"""An index of claimed steps."""

from django.db import migrations, models

from workflows.db.migration_operations import AddIndexBesideTraffic


class Migration(migrations.Migration):

    # The write-once triggers stay in place.
    beside_traffic = True
    atomic = False

    dependencies = [
        ('executions', '0035_step_claims'),
    ]

    operations = [
        AddIndexBesideTraffic(
            model_name='step',
            index=models.Index(condition=models.Q(('claimed_by__isnull', False), ('state', 'open')), fields=['claimed_by'], name='executions_step_claimed_by'),
        ),
    ]
