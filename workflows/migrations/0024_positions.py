"""The positions of nodes in pictures, beside the source of each version."""

from django.db import migrations, models


class Migration(migrations.Migration):

    # The write-once triggers stay in place.
    beside_traffic = True

    dependencies = [
        ('workflows', '0023_fewer_key_indexes'),
    ]

    operations = [
        migrations.AddField(
            model_name='version',
            name='positions',
            field=models.JSONField(editable=False, null=True),
        ),
    ]
