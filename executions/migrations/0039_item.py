"""The item that a child of a call with for_each works on."""

from django.db import migrations, models


class Migration(migrations.Migration):

    # The write-once triggers stay in place.
    beside_traffic = True

    dependencies = [
        ('executions', '0038_open_steps_in_order'),
    ]

    operations = [
        migrations.AddField(
            model_name='execution',
            name='item',
            field=models.PositiveIntegerField(blank=True, editable=False, help_text='For a child of a call with for_each: the index of its item, from 0.', null=True),
        ),
    ]
