"""The action of uploaded files in the audit log; nothing changes in the database."""

from django.db import migrations, models


class Migration(migrations.Migration):

    # The write-once triggers stay in place.
    beside_traffic = True

    dependencies = [
        ('workflows', '0021_moves'),
    ]

    operations = [
        migrations.AlterField(
            model_name='auditentry',
            name='action',
            field=models.CharField(choices=[('created', 'Created'), ('changed', 'Changed'), ('deleted', 'Deleted'), ('graph_saved', 'Graph saved'), ('put_on_hold', 'Put on hold'), ('withdrawn', 'Withdrawn'), ('applied', 'Change on hold applied'), ('not_applied', 'Change on hold not applied'), ('cancelled', 'Cancelled'), ('restarted', 'Restarted'), ('retried', 'Retried'), ('skipped', 'Skipped'), ('woken', 'Woken early'), ('postponed', 'Postponed'), ('reassigned', 'Reassigned'), ('moved', 'Moved to another version'), ('voted', 'Voted'), ('claimed', 'Claimed'), ('unclaimed', 'Unclaimed'), ('commented', 'Commented'), ('comment_withdrawn', 'Comment withdrawn'), ('submitted', 'Submitted'), ('uploaded', 'File uploaded'), ('started', 'Started by its trigger'), ('login_failed', 'Login failed'), ('locked', 'Locked'), ('unlocked', 'Unlocked')], max_length=32),
        ),
    ]
