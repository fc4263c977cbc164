"""Comments on executions."""

import django.db.models.deletion
import workflows.db.cuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    # The write-once triggers stay in place.
    beside_traffic = True

    dependencies = [
        ('executions', '0035_claimed_steps'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Comment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('cuid', models.CharField(default=workflows.db.cuid.new_cuid, editable=False, max_length=25, unique=True, verbose_name='ID')),
                ('step', models.CharField(blank=True, default='', max_length=25)),
                ('author_name', models.CharField(blank=True, db_default='', default='', editable=False, max_length=254)),
                ('text', models.TextField(max_length=10000)),
                ('at', models.DateTimeField()),
                ('withdrawn_at', models.DateTimeField(null=True)),
                ('withdrawn_by_name', models.CharField(blank=True, db_default='', default='', editable=False, max_length=254)),
                ('author', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('execution', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='comments', to='executions.execution')),
                ('withdrawn_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['pk'],
                'default_permissions': ('add',),
                'indexes': [models.Index(fields=['execution', 'id'], name='executions_comment_of')],
            },
        ),
    ]
