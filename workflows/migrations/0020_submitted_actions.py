"""The audit action of a form that was submitted by one of its actions."""

from django.db import migrations, models


class Migration(migrations.Migration):

    beside_traffic = True

    dependencies = [
        ('workflows', '0019_schedules'),
    ]

    operations = [
        migrations.AlterField(
            model_name='auditentry',
            name='action',
            field=models.CharField(choices=[('created', 'Created'), ('changed', 'Changed'), ('deleted', 'Deleted'), ('graph_saved', 'Graph saved'), ('put_on_hold', 'Put on hold'), ('withdrawn', 'Withdrawn'), ('applied', 'Change on hold applied'), ('not_applied', 'Change on hold not applied'), ('cancelled', 'Cancelled'), ('restarted', 'Restarted'), ('retried', 'Retried'), ('skipped', 'Skipped'), ('woken', 'Woken early'), ('postponed', 'Postponed'), ('reassigned', 'Reassigned'), ('voted', 'Voted'), ('claimed', 'Claimed'), ('unclaimed', 'Unclaimed'), ('commented', 'Commented'), ('comment_withdrawn', 'Comment withdrawn'), ('submitted', 'Submitted'), ('started', 'Started by its trigger'), ('login_failed', 'Login failed'), ('locked', 'Locked'), ('unlocked', 'Unlocked')], max_length=32),
        ),
    ]
