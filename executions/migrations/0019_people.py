"""Votes count accounts, names outlive accounts, and changes of people are noted."""

import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

# An account that was renamed may have voted twice: its latest vote counts, the others stay as
# history.
ONE_VOTE = """
UPDATE executions_vote SET user_id = NULL WHERE id IN (
  SELECT v.id FROM executions_vote v JOIN executions_vote o
  ON o.step_id = v.step_id AND o.user_id = v.user_id AND (o.at, o.id) > (v.at, v.id))
"""
ONE_NAME = """
UPDATE executions_vote SET username = substr(username, 1, 120) || ' (' || id || ')' WHERE id IN (
  SELECT v.id FROM executions_vote v JOIN executions_vote o
  ON o.step_id = v.step_id AND o.username = v.username AND o.id > v.id)
"""


class Migration(migrations.Migration):

    dependencies = [
        ('executions', '0018_drafts_of_their_authors'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='PeopleChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'ordering': ['pk'],
                'default_permissions': (),
            },
        ),
        migrations.RemoveConstraint(
            model_name='vote',
            name='executions_vote_once',
        ),
        migrations.RunSQL(ONE_VOTE, ONE_NAME),
        migrations.AddField(
            model_name='bulkoperation',
            name='asked_by_name',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=254),
        ),
        migrations.AddField(
            model_name='execution',
            name='started_by_name',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=254),
        ),
        migrations.AddField(
            model_name='step',
            name='closed_by_name',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=254),
        ),
        migrations.AddField(
            model_name='triggeredstart',
            name='asked_by_name',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=254),
        ),
        migrations.AlterField(
            model_name='step',
            name='assignees',
            field=models.TextField(blank=True, db_default='', default='', editable=False, help_text='The key of the candidates that it asks; empty for everybody.'),
        ),
        migrations.AddConstraint(
            model_name='vote',
            constraint=models.UniqueConstraint(fields=('step', 'user'), name='executions_vote_by_user'),
        ),
    ]
