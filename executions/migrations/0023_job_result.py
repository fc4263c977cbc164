from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("executions", "0022_remembered_deliveries"),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="result",
            field=models.JSONField(
                blank=True,
                help_text="The result of the call, until the execution has taken it.",
                null=True,
            ),
        ),
    ]
