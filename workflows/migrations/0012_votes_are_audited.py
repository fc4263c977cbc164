from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('workflows', '0007_graph_drafts'),
    ]

    operations = [
        migrations.AlterField(
            model_name='auditentry',
            name='action',
            field=models.CharField(choices=[('created', 'Created'), ('changed', 'Changed'), ('deleted', 'Deleted'), ('graph_saved', 'Graph saved'), ('put_on_hold', 'Put on hold'), ('withdrawn', 'Withdrawn'), ('applied', 'Applied when drained'), ('not_applied', 'Not applied when drained'), ('cancelled', 'Cancelled'), ('restarted', 'Restarted'), ('retried', 'Retried'), ('skipped', 'Skipped'), ('woken', 'Woken early'), ('voted', 'Voted'), ('started', 'Started by its trigger')], max_length=32),
        ),
    ]
