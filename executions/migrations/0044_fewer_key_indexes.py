"""Foreign keys without an index of their own, where a composite index begins with the key."""

import django.db.models.deletion
from django.db import migrations, models

from workflows.db.migration_operations import DropKeyIndexBesideTraffic


class Migration(migrations.Migration):

    # The write-once triggers stay in place.
    beside_traffic = True
    atomic = False

    dependencies = [
        ('executions', '0043_form_files'),
    ]

    operations = [
        DropKeyIndexBesideTraffic(
            model_name='job',
            name='step',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='jobs', to='executions.step'),
        ),
        DropKeyIndexBesideTraffic(
            model_name='vote',
            name='step',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='votes', to='executions.step'),
        ),
    ]
