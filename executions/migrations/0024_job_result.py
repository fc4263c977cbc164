from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("executions", "0015_fewer_keys_and_indexes"),
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
