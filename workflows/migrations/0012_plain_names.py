"""Names in the code; tables and columns keep theirs. Only the permissions are renamed."""

from django.db import migrations, models

OLD, NEW = "kept answer", "stored answer"


def rename_permissions(apps, schema_editor, old=OLD, new=NEW):
    permissions = apps.get_model("auth", "Permission").objects.using(schema_editor.connection.alias)
    rows = permissions.filter(content_type__app_label="workflows")
    for action in ("add", "change", "delete", "view"):
        codename = f"{action}_{new.replace(' ', '')}"
        if not rows.filter(codename=codename).exists():
            rows.filter(codename=f"{action}_{old.replace(' ', '')}").update(
                codename=codename, name=f"Can {action} {new}"
            )


def restore_permissions(apps, schema_editor):
    rename_permissions(apps, schema_editor, old=NEW, new=OLD)


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("workflows", "0011_plain_words"),
    ]

    operations = [
        migrations.AlterModelTable(name="keptanswer", table="workflows_keptanswer"),
        migrations.RenameModel(old_name="KeptAnswer", new_name="StoredAnswer"),
        migrations.RunPython(rename_permissions, restore_permissions, elidable=True),
        migrations.AlterField(
            model_name="draftstate",
            name="told",
            field=models.TextField(blank=True, db_column="told"),
        ),
        migrations.RenameField(model_name="draftstate", old_name="told", new_name="description"),
    ]
