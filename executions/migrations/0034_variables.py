"""The variables of an execution."""

from django.db import migrations, models


class Migration(migrations.Migration):

    # The write-once triggers stay in place.
    beside_traffic = True

    dependencies = [
        ('executions', '0033_immediate_keys'),
    ]

    operations = [
        migrations.AddField(
            model_name='execution',
            name='variables',
            field=models.JSONField(blank=True, db_default=models.Value({}, models.JSONField()), default=dict, editable=False, help_text='The data of the execution, beside the fields of its entity.'),
        ),
    ]
