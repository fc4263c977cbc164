"""An index of all claimed steps, so that the deletion of a user does not read every step."""

from django.db import migrations, models

from workflows.db.migration_operations import AddIndexBesideTraffic, RemoveIndexBesideTraffic


class Migration(migrations.Migration):

    # The write-once triggers stay in place.
    beside_traffic = True
    atomic = False

    dependencies = [
        ('executions', '0040_schedules'),
    ]

    operations = [
        AddIndexBesideTraffic(
            model_name='step',
            index=models.Index(condition=models.Q(('claimed_by__isnull', False)), fields=['claimed_by', 'state'], name='executions_step_claimer'),
        ),
        RemoveIndexBesideTraffic(
            model_name='step',
            name='executions_step_claimed_by',
        ),
    ]
