"""The ID of an entity in another system, which each type has once."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('executions', '0026_worker_heartbeat'),
        ('workflows', '0013_labels'),
    ]

    operations = [
        migrations.AddField(
            model_name='entity',
            name='external_id',
            field=models.CharField(blank=True, default=None, help_text='The ID in another system. Unique within its type.', max_length=200, null=True, verbose_name='external ID'),
        ),
        migrations.AddConstraint(
            model_name='entity',
            constraint=models.UniqueConstraint(condition=models.Q(('external_id__isnull', False)), fields=('external_id', 'entity_name_type'), name='executions_entity_external_entity'),
        ),
        migrations.AddConstraint(
            model_name='entity',
            constraint=models.UniqueConstraint(condition=models.Q(('external_id__isnull', False)), fields=('external_id', 'primary_record_type'), name='executions_entity_external_primary'),
        ),
    ]
