import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("executions", "0023_job_result"),
        ("workflows", "0010_actions_in_the_audit_log"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="bulkitem",
            options={
                "default_permissions": (),
                "ordering": ["pk"],
                "verbose_name": "bulk operation item",
            },
        ),
        migrations.AlterField(
            model_name="bulkoperation",
            name="kind",
            field=models.CharField(
                choices=[("cancel", "Cancel"), ("retry", "Retry"), ("wake", "Wake")], max_length=32
            ),
        ),
        migrations.AlterField(
            model_name="bulkoperation",
            name="state",
            field=models.CharField(
                choices=[
                    ("asked", "Not confirmed"),
                    ("working", "In progress"),
                    ("done", "Done"),
                    ("stopped", "Stopped"),
                ],
                default="asked",
                max_length=32,
            ),
        ),
        migrations.AlterField(
            model_name="deliveryattempt",
            name="answer",
            field=models.TextField(blank=True, help_text="The beginning of the answer."),
        ),
        migrations.AlterField(
            model_name="deliveryattempt",
            name="error",
            field=models.TextField(blank=True, help_text="The reason why there is no answer."),
        ),
        migrations.AlterField(
            model_name="execution",
            name="message",
            field=models.TextField(
                blank=True, help_text="The reason why it failed or was cancelled."
            ),
        ),
        migrations.AlterField(
            model_name="execution",
            name="progress",
            field=models.FloatField(blank=True, help_text="The progress in percent.", null=True),
        ),
        migrations.AlterField(
            model_name="execution",
            name="root",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                help_text="The root of the tree of executions; empty for the root itself.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="descendants",
                to="executions.execution",
            ),
        ),
        migrations.AlterField(
            model_name="execution",
            name="stage",
            field=models.CharField(
                blank=True, help_text="The stage that the workflow has set.", max_length=200
            ),
        ),
        migrations.AlterField(
            model_name="execution",
            name="updated_at",
            field=models.DateTimeField(
                db_default=django.db.models.functions.datetime.Now(),
                default=django.utils.timezone.now,
                help_text="The time of the last change. For a root: of any execution in its tree.",
            ),
        ),
        migrations.AlterField(
            model_name="job",
            name="kind",
            field=models.CharField(
                choices=[
                    ("timer", "Wake the step"),
                    ("deadline", "Mark the step as overdue"),
                    ("mail", "Send the mail"),
                    ("call", "Make the call"),
                    ("overdue", "Send the overdue notice"),
                ],
                max_length=32,
            ),
        ),
        migrations.AlterField(
            model_name="job",
            name="result",
            field=models.JSONField(
                blank=True,
                help_text="The result of the call, until the execution continues with it.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="outgoingdelivery",
            name="at",
            field=models.DateTimeField(help_text="The time of the event."),
        ),
        migrations.AlterField(
            model_name="secret",
            name="hosts",
            field=models.JSONField(
                blank=True,
                db_default=models.Value([], models.JSONField()),
                default=list,
                help_text="The hosts that it may be sent to; empty for any host.",
            ),
        ),
        migrations.AlterField(
            model_name="secret",
            name="name",
            field=models.CharField(
                help_text="Use it in a graph as {{secret:NAME}}.",
                max_length=64,
                unique=True,
                validators=[
                    django.core.validators.RegexValidator(
                        "^[A-Za-z_][A-Za-z0-9_.-]*\\Z",
                        "Use letters, digits, '_', '.' and '-', starting with a letter or '_'.",
                    )
                ],
            ),
        ),
        migrations.AlterField(
            model_name="step",
            name="assignees",
            field=models.TextField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="The key of the candidates; empty if everybody may do the step.",
            ),
        ),
        migrations.AlterField(
            model_name="step",
            name="closed_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                help_text="The user who closed the step; empty if it did not wait.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="step",
            name="handle",
            field=models.CharField(blank=True, help_text="The exit that was taken.", max_length=64),
        ),
        migrations.AlterField(
            model_name="step",
            name="notice",
            field=models.JSONField(
                blank=True,
                help_text="The recipients of the overdue notice, or the reason why it was not sent.",
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="subscription",
            name="entity_name_type",
            field=models.ForeignKey(
                blank=True,
                help_text="Send only events of this finding type; empty for all.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="workflows.findingtype",
                verbose_name="finding type",
            ),
        ),
        migrations.AlterField(
            model_name="subscription",
            name="events",
            field=models.JSONField(default=list, help_text="The names of the events to send."),
        ),
        migrations.AlterField(
            model_name="subscription",
            name="url",
            field=models.CharField(
                help_text="The address that receives the events.", max_length=2000
            ),
        ),
        migrations.AlterField(
            model_name="subscription",
            name="workflow",
            field=models.ForeignKey(
                blank=True,
                help_text="Send only events of this workflow; empty for all.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="workflows.workflow",
            ),
        ),
    ]
