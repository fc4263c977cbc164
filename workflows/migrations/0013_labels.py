"""Labels of ids, times and actions; nothing changes in the database."""

import workflows.cuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('workflows', '0012_plain_names'),
    ]

    operations = [
        migrations.AlterField(
            model_name='auditentry',
            name='at',
            field=models.DateTimeField(db_index=True, verbose_name='time'),
        ),
        migrations.AlterField(
            model_name='auditentry',
            name='cuid',
            field=models.CharField(max_length=25, verbose_name='ID'),
        ),
        migrations.AlterField(
            model_name='findingtype',
            name='cuid',
            field=models.CharField(default=workflows.cuid.new_cuid, editable=False, max_length=25, unique=True, verbose_name='ID'),
        ),
        migrations.AlterField(
            model_name='pendingchange',
            name='cuid',
            field=models.CharField(default=workflows.cuid.new_cuid, editable=False, max_length=25, unique=True, verbose_name='ID'),
        ),
        migrations.AlterField(
            model_name='pendingworkflow',
            name='cuid',
            field=models.CharField(max_length=25, verbose_name='ID'),
        ),
        migrations.AlterField(
            model_name='recordtype',
            name='cuid',
            field=models.CharField(default=workflows.cuid.new_cuid, editable=False, max_length=25, unique=True, verbose_name='ID'),
        ),
        migrations.AlterField(
            model_name='version',
            name='cuid',
            field=models.CharField(default=workflows.cuid.new_cuid, editable=False, max_length=25, unique=True, verbose_name='ID'),
        ),
        migrations.AlterField(
            model_name='workflow',
            name='cuid',
            field=models.CharField(default=workflows.cuid.new_cuid, editable=False, max_length=25, unique=True, verbose_name='ID'),
        ),
        migrations.AlterField(
            model_name='auditentry',
            name='action',
            field=models.CharField(choices=[('created', 'Created'), ('changed', 'Changed'), ('deleted', 'Deleted'), ('graph_saved', 'Graph saved'), ('put_on_hold', 'Put on hold'), ('withdrawn', 'Withdrawn'), ('applied', 'Change on hold applied'), ('not_applied', 'Change on hold not applied'), ('cancelled', 'Cancelled'), ('restarted', 'Restarted'), ('retried', 'Retried'), ('skipped', 'Skipped'), ('woken', 'Woken early'), ('postponed', 'Postponed'), ('reassigned', 'Reassigned'), ('voted', 'Voted'), ('started', 'Started by its trigger')], max_length=32),
        ),
    ]
