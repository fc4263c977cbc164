"""Give the drafts that everybody could read to their authors.

Who wrote a draft was not stored. It is known where the step asks one user by name: that user gets
it. All others are deleted.

On PostgreSQL the column stays in the database, empty and without a use: the release before reads
and writes it while it runs beside this one. Nothing is given back when this is undone: the release
before would show a draft to everybody.
"""

import json

from django.conf import settings
from django.db import migrations, transaction
from django.utils import timezone

BATCH = 500
LIVE = ('open', 'incident')


def carry_over(apps, schema_editor):
    using = schema_editor.connection.alias
    rows = apps.get_model('executions', 'Step').objects.using(using)
    drafts = apps.get_model('executions', 'FormDraft').objects.using(using)
    users = apps.get_model(settings.AUTH_USER_MODEL).objects.using(using)
    last = 0
    while True:
        # A few at a time: what is locked is soon free.
        with transaction.atomic(using):
            steps = list(
                rows.select_for_update(no_key=True)
                .filter(pk__gt=last, draft__isnull=False)
                .order_by('pk')
                .only('pk', 'state', 'assignees', 'draft')[:BATCH]
            )
            if not steps:
                return
            last = steps[-1].pk
            names = {step.pk: author(step) for step in steps}
            ids = dict(
                users.filter(username__in=set(names.values()) - {None}).values_list('username', 'pk')
            )
            now = timezone.now()
            drafts.bulk_create(
                [
                    drafts.model(step_id=step.pk, user_id=ids[names[step.pk]], data=step.draft, saved_at=now)
                    for step in steps
                    if names[step.pk] in ids and isinstance(step.draft, dict)
                ],
                ignore_conflicts=True,
            )
            rows.filter(pk__in=[step.pk for step in steps]).update(draft=None)


def author(step):
    asked = json.loads(step.assignees) if step.assignees and step.state in LIVE else {}
    named = asked.get('users', [])
    return named[0] if len(named) == 1 and not asked.get('groups') else None


class StopUsing(migrations.RemoveField):

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != 'postgresql':
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor != 'postgresql':
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('executions', '0017_form_drafts'),
    ]

    operations = [
        migrations.RunPython(carry_over, migrations.RunPython.noop),
        StopUsing(model_name='step', name='draft'),
    ]
