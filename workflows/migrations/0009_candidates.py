"""Rows for the groups and users that versions ask; names that outlive accounts."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('workflows', '0008_names_alike'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='pendingchange',
            name='asked_by_name',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=254),
        ),
        migrations.AddField(
            model_name='version',
            name='created_by_name',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=254),
        ),
        migrations.CreateModel(
            name='Candidate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('node_id', models.CharField(max_length=128)),
                ('is_group', models.BooleanField()),
                ('name', models.TextField()),
                ('is_unknown', models.BooleanField(default=False)),
                ('needed', models.PositiveIntegerField(default=1)),
                ('step', models.CharField(blank=True, default='', max_length=25)),
                ('key', models.TextField()),
                ('group', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='auth.group')),
                ('user', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('version', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='candidates', to='workflows.version')),
            ],
            options={
                'ordering': ['pk'],
                'default_permissions': (),
                'indexes': [models.Index(fields=['key'], name='workflows_candidate_key'), models.Index(fields=['version', 'node_id'], name='workflows_candidate_node'), models.Index(condition=models.Q(('group__isnull', False)), fields=['group'], name='workflows_candidate_group'), models.Index(condition=models.Q(('user__isnull', False)), fields=['user'], name='workflows_candidate_user'), models.Index(condition=models.Q(('is_unknown', True)), fields=['id'], name='workflows_candidate_unknown')],
                'constraints': [models.CheckConstraint(condition=models.Q(('group__isnull', True), ('user__isnull', True), _connector='OR'), name='workflows_candidate_one')],
            },
        ),
    ]
