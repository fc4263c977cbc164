"""Foreign keys without an index of their own, where a composite index begins with the key."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from workflows.db.migration_operations import DropKeyIndexBesideTraffic


class Migration(migrations.Migration):

    # The write-once triggers stay in place.
    beside_traffic = True
    atomic = False

    dependencies = [
        ('workflows', '0022_form_files'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        DropKeyIndexBesideTraffic(
            model_name='draftstate',
            name='draft',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='states', to='workflows.graphdraft'),
        ),
        DropKeyIndexBesideTraffic(
            model_name='graphdraft',
            name='workflow',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workflows.workflow'),
        ),
        DropKeyIndexBesideTraffic(
            model_name='reference',
            name='callee',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='callers', to='workflows.workflow'),
        ),
        DropKeyIndexBesideTraffic(
            model_name='reference',
            name='version',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='references', to='workflows.version'),
        ),
        DropKeyIndexBesideTraffic(
            model_name='savedfilter',
            name='user',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        DropKeyIndexBesideTraffic(
            model_name='storedanswer',
            name='user',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        DropKeyIndexBesideTraffic(
            model_name='version',
            name='workflow',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='versions', to='workflows.workflow'),
        ),
    ]
