"""Names, scopes and last use of tokens, with a row for each token that exists."""

import django.db.models.deletion
from django.db import migrations, models


def create_rows(apps, schema_editor):
    using = schema_editor.connection.alias
    details = apps.get_model("holdfast", "TokenDetails")
    tokens = apps.get_model("knox", "AuthToken")
    rows = [
        details(token_id=digest)
        for digest in tokens.objects.using(using).values_list("pk", flat=True)
    ]
    details.objects.using(using).bulk_create(rows, batch_size=500)


class Migration(migrations.Migration):
    beside_traffic = True

    dependencies = [
        ("holdfast", "0005_comments"),
        ("knox", "0009_extend_authtoken_field"),
    ]

    operations = [
        migrations.CreateModel(
            name="TokenDetails",
            fields=[
                (
                    "token",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="details",
                        serialize=False,
                        to="knox.authtoken",
                    ),
                ),
                ("name", models.CharField(blank=True, max_length=100, verbose_name="name")),
                (
                    "scopes",
                    models.CharField(
                        blank=True,
                        help_text="Separated by spaces. Empty: all.",
                        max_length=400,
                        verbose_name="scopes",
                    ),
                ),
                (
                    "last_used_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="last used"),
                ),
            ],
            options={
                "verbose_name": "token details",
                "verbose_name_plural": "token details",
            },
        ),
        migrations.RunPython(create_rows, migrations.RunPython.noop),
    ]
