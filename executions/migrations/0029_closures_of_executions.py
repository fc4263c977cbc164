"""Move the pins of live and ended executions to closures, in batches beside other transactions.

An interrupted run begins again at any time: a root that has its closure is not visited twice.
The next migration moves the pins of the roots that start meanwhile.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from typing import Any

from django.db import migrations, models, transaction

BATCH = 500
LIVE = ("scheduled", "active", "waiting")
KEYS = ("executions_execution_closure_fk", "executions_execution_closure_id_fk")


class AddIndexBeside(migrations.AddIndex):
    """Add an index; on PostgreSQL beside other transactions, and again after an interruption."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        schema_editor.execute(f"DROP INDEX IF EXISTS {self.index.name}")
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        schema_editor.execute(self.index.create_sql(model, schema_editor, concurrently=True))


def checksum(version: int, members: list[list[Any]]) -> str:
    text = json.dumps([version, members], separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def move(apps: Any, schema_editor: Any) -> None:
    db = schema_editor.connection.alias
    Pin = apps.get_model("executions", "Pin")
    last = 0
    while True:
        rows = Pin.objects.using(db).filter(root_id__gt=last, root__closure=None)
        ids = list(rows.order_by("root_id").values_list("root_id", flat=True).distinct()[:BATCH])
        if not ids:
            return
        with transaction.atomic(using=db):
            move_batch(apps, schema_editor.connection, ids)
        last = ids[-1]


def move_batch(apps: Any, connection: Any, ids: list[int]) -> None:
    db = connection.alias
    Pin = apps.get_model("executions", "Pin")
    Execution = apps.get_model("executions", "Execution")
    pins: dict[int, list[tuple[int, int]]] = defaultdict(list)
    rows = Pin.objects.using(db).filter(root__in=ids).order_by("version_id")
    for root, callee, version in rows.values_list("root_id", "callee_id", "version_id"):
        pins[root].append((callee, version))
    versions = read_versions(apps, connection, {pk for row in pins.values() for _, pk in row})
    roots = Execution.objects.using(db).filter(pk__in=ids, closure=None)
    found: dict[tuple[str, str | None], list[int]] = defaultdict(list)
    sets: dict[str, tuple[int, int, list[tuple[int, int]]]] = {}
    for pk, workflow, version, key, status in roots.order_by("pk").values_list(
        "pk", "workflow_id", "version_id", "context_key", "status"
    ):
        members = pins[pk]
        keys = {versions[one][1] if one in versions else None for _, one in members}
        own = next(iter(keys)) if len(keys) == 1 else None
        is_whole = all(one in versions for _, one in members)
        if not is_whole or (status in LIVE and own != key):
            # Damaged: ``repair_executions`` gives it a closure.
            continue
        name = checksum(version, sorted([callee, one, versions[one][0]] for callee, one in members))
        sets[name] = (workflow, version, members)
        found[name, own].append(pk)
    for (name, own), root_ids in found.items():
        closure = find_or_create(apps, db, name, own, sets[name], versions)
        Execution.objects.using(db).filter(pk__in=root_ids).update(closure=closure)


def read_versions(
    apps: Any, connection: Any, ids: set[int]
) -> dict[int, tuple[str, str | None]]:
    """Return cuid and key of these versions. None is released before the end of the batch."""
    rows = apps.get_model("workflows", "Version").objects.using(connection.alias)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM workflows_version WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE",
                [sorted(ids)],
            )
    found = rows.filter(pk__in=ids).values_list("pk", "cuid", "held_key")
    return {pk: (cuid, key) for pk, cuid, key in found}


def find_or_create(
    apps: Any,
    db: str,
    name: str,
    key: str | None,
    of: tuple[int, int, list[tuple[int, int]]],
    versions: dict[int, tuple[str, str | None]],
) -> Any:
    Closure = apps.get_model("executions", "Closure")
    Member = apps.get_model("executions", "ClosureMember")
    workflow, version, members = of
    found = Closure.objects.using(db).filter(checksum=name, context_key=key).first()
    if found is not None:
        return found
    closure = Closure.objects.using(db).create(
        checksum=name, context_key=key, workflow_id=workflow, version_id=version
    )
    Member.objects.using(db).bulk_create(
        [
            Member(closure=closure, callee_id=callee, version_id=one, key=versions[one][1])
            for callee, one in members
        ]
    )
    return closure


def move_back(apps: Any, schema_editor: Any) -> None:
    """Write the pins of every root with a closure again."""
    db = schema_editor.connection.alias
    Execution = apps.get_model("executions", "Execution")
    Pin = apps.get_model("executions", "Pin")
    Member = apps.get_model("executions", "ClosureMember")
    last = 0
    while True:
        rows = Execution.objects.using(db).filter(pk__gt=last, closure__isnull=False)
        roots = list(rows.order_by("pk").only("pk", "status", "context_key", "closure")[:BATCH])
        if not roots:
            return
        last = roots[-1].pk
        with transaction.atomic(using=db):
            locked = Execution.objects.using(db).filter(pk__in=[row.pk for row in roots])
            if schema_editor.connection.vendor == "postgresql":
                locked = locked.select_for_update(no_key=True)
            roots = list(locked.order_by("pk").only("pk", "status", "context_key", "closure"))
            members = defaultdict(list)
            for row in Member.objects.using(db).filter(
                closure__in={row.closure_id for row in roots}
            ).order_by("pk"):
                members[row.closure_id].append(row)
            written = Pin.objects.using(db).filter(root__in=[row.pk for row in roots])
            done = set(written.values_list("root_id", flat=True))
            Pin.objects.using(db).bulk_create(
                Pin(
                    root_id=root.pk,
                    callee_id=row.callee_id,
                    version_id=row.version_id,
                    context_key=root.context_key,
                    live=root.status in LIVE,
                )
                for root in roots
                if root.pk not in done
                for row in members[root.closure_id]
            )


def validate_keys(apps: Any, schema_editor: Any) -> None:
    """Check the stored rows. This locks out no other transaction."""
    if schema_editor.connection.vendor == "postgresql":
        for name in KEYS:
            schema_editor.execute(
                f"ALTER TABLE executions_execution VALIDATE CONSTRAINT {name}"
            )


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("executions", "0028_closures")]

    operations = [
        AddIndexBeside(
            model_name="execution",
            index=models.Index(
                condition=models.Q(("closure__isnull", False)),
                fields=["closure", "live_key"],
                name="executions_of_closure",
            ),
        ),
        migrations.RunPython(move, move_back),
        migrations.RunPython(validate_keys, migrations.RunPython.noop),
    ]
