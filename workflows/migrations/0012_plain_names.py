"""Names in the code; tables and columns keep theirs, so nothing changes in the database."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("workflows", "0011_plain_words")]

    operations = [
        migrations.AlterModelTable(name="keptanswer", table="workflows_keptanswer"),
        migrations.RenameModel(old_name="KeptAnswer", new_name="StoredAnswer"),
        migrations.AlterField(
            model_name="draftstate",
            name="told",
            field=models.TextField(blank=True, db_column="told"),
        ),
        migrations.RenameField(model_name="draftstate", old_name="told", new_name="description"),
    ]
