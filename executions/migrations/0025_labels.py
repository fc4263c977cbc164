"""Labels of ids and times; nothing changes in the database."""

import workflows.cuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('executions', '0024_plain_words'),
    ]

    operations = [
        migrations.AlterField(
            model_name='bulkoperation',
            name='cuid',
            field=models.CharField(default=workflows.cuid.new_cuid, editable=False, max_length=25, unique=True, verbose_name='ID'),
        ),
        migrations.AlterField(
            model_name='entity',
            name='cuid',
            field=models.CharField(default=workflows.cuid.new_cuid, editable=False, max_length=25, unique=True, verbose_name='ID'),
        ),
        migrations.AlterField(
            model_name='execution',
            name='cuid',
            field=models.CharField(default=workflows.cuid.new_cuid, editable=False, max_length=25, verbose_name='ID'),
        ),
        migrations.AlterField(
            model_name='outgoingdelivery',
            name='cuid',
            field=models.CharField(default=workflows.cuid.new_cuid, editable=False, max_length=25, unique=True, verbose_name='ID'),
        ),
        migrations.AlterField(
            model_name='secret',
            name='cuid',
            field=models.CharField(default=workflows.cuid.new_cuid, editable=False, max_length=25, unique=True, verbose_name='ID'),
        ),
        migrations.AlterField(
            model_name='step',
            name='cuid',
            field=models.CharField(default=workflows.cuid.new_cuid, editable=False, max_length=25, verbose_name='ID'),
        ),
        migrations.AlterField(
            model_name='subscription',
            name='cuid',
            field=models.CharField(default=workflows.cuid.new_cuid, editable=False, max_length=25, unique=True, verbose_name='ID'),
        ),
    ]
