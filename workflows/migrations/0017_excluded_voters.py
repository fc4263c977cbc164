"""The accounts that approvals exclude: the starter, and those who submitted a form."""

from django.db import migrations, models


class Migration(migrations.Migration):

    # The write-once triggers stay in place.
    beside_traffic = True

    dependencies = [
        ('workflows', '0016_comment_actions'),
    ]

    operations = [
        migrations.AddField(
            model_name='candidate',
            name='excludes_starter',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name='candidate',
            name='excludes_submitters',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
