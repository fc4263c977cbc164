"""Types and saved filters whose names nobody can tell apart become impossible.

Rows that are there keep their names: of those that are alike, the first gets the key. The column
may be empty and is small, so that the previous release goes on writing beside it.
"""

import hashlib
import re
import unicodedata

from django.db import migrations, models

FILLERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def key(name):
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    seen = (
        char
        for char in " ".join(folded.split())
        if unicodedata.category(char) not in ("Cc", "Cf", "Cn", "Co")
    )
    look = " ".join(FILLERS.sub("", "".join(seen)).split())
    return hashlib.sha256(look.encode("utf-8", "surrogatepass")).hexdigest()


def fill(apps, schema_editor):
    for model, scope in (("FindingType", ()), ("RecordType", ()), ("SavedFilter", ("user_id", "list"))):
        rows = apps.get_model("workflows", model)._base_manager.using(schema_editor.connection.alias)
        taken = set()
        for row in rows.order_by("pk").iterator():
            found = (*(getattr(row, name) for name in scope), key(row.name))
            if found not in taken:
                taken.add(found)
                rows.filter(pk=row.pk).update(name_key=found[-1])


def name_key():
    return models.CharField(editable=False, max_length=64, null=True)


def once(model, *scope):
    return migrations.AddConstraint(
        model_name=model,
        constraint=models.UniqueConstraint(
            condition=models.Q(("name_key__isnull", False)),
            fields=(*scope, "name_key"),
            name=f"workflows_{model}_name",
        ),
    )


class Migration(migrations.Migration):

    dependencies = [("workflows", "0007_graph_drafts")]

    operations = [
        migrations.AddField("findingtype", "name_key", name_key()),
        migrations.AddField("recordtype", "name_key", name_key()),
        migrations.AddField("savedfilter", "name_key", name_key()),
        migrations.RunPython(fill, migrations.RunPython.noop, elidable=True),
        once("findingtype"),
        once("recordtype"),
        once("savedfilter", "user", "list"),
    ]
