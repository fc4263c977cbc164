"""Files of forms, and the objects of the storage that nothing uses."""

import django.db.models.deletion
import workflows.db.cuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    # The write-once triggers stay in place.
    beside_traffic = True

    dependencies = [
        ('executions', '0042_moves'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='UnusedObject',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=200, unique=True)),
                ('due_at', models.DateTimeField(db_index=True)),
            ],
            options={
                'ordering': ['pk'],
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='FormFile',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('cuid', models.CharField(default=workflows.db.cuid.new_cuid, editable=False, max_length=25, unique=True, verbose_name='ID')),
                ('step', models.CharField(max_length=25)),
                ('field', models.CharField(max_length=64)),
                ('name', models.CharField(max_length=255)),
                ('size', models.BigIntegerField()),
                ('content_type', models.CharField(max_length=100)),
                ('sha256', models.CharField(max_length=64)),
                ('key', models.CharField(max_length=200, unique=True)),
                ('uploaded_by_name', models.CharField(blank=True, db_default='', default='', editable=False, max_length=254)),
                ('uploaded_at', models.DateTimeField()),
                ('attached_at', models.DateTimeField(null=True)),
                ('execution', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='files', to='executions.execution')),
                ('uploaded_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'file',
                'ordering': ['pk'],
                'default_permissions': (),
                'indexes': [models.Index(fields=['execution', 'id'], name='executions_formfile_of'), models.Index(condition=models.Q(('attached_at', None)), fields=['step'], name='executions_formfile_draft')],
            },
        ),
    ]
