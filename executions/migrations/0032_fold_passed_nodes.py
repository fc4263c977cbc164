"""Move the steps that did not wait to the lists of passed nodes.

Each batch is a transaction of its own, which locks its executions as an advance does. Executions
that the previous release starts meanwhile keep a row for each node, which is valid too. Backwards,
each passed node gets a row again, with a new id.
"""

from django.db import migrations, transaction
from django.utils.dateparse import parse_datetime

BATCH = 200
VALUES = ("label", "handle", "input", "output")


def fold(apps, schema_editor):
    Execution = apps.get_model("executions", "Execution")
    rows = Execution._base_manager.using(schema_editor.connection.alias)
    last = 0
    while True:
        with transaction.atomic(using=schema_editor.connection.alias):
            batch = rows.filter(pk__gt=last, passed__isnull=True).order_by("pk")
            batch = list(batch.select_for_update(no_key=True).only("started_at")[:BATCH])
            if not batch:
                return
            _fold_batch(apps, schema_editor.connection.alias, batch)
            last = batch[-1].pk


def _fold_batch(apps, alias, batch):
    Execution, Step = apps.get_model("executions", "Execution"), apps.get_model("executions", "Step")
    executions = {row.pk: row for row in batch}
    steps = {pk: [] for pk in executions}
    rows = Step._base_manager.using(alias).filter(execution__in=executions).order_by("pk")
    for step in rows.select_related("child"):
        steps[step.execution_id].append(step)
    referenced = _referenced_steps(Step, alias, executions)
    folded, changed = [], []
    for pk, execution in executions.items():
        execution.passed = []
        kept = [row for row in steps[pk] if row.pk in referenced or not _is_passed(row)]
        for step in steps[pk]:
            if step in kept:
                continue
            owner = _owner(execution, kept, step.opened_at)
            at = execution.started_at if owner is execution else owner.closed_at
            owner.passed = owner.passed or []
            owner.passed.append(_entry(step, at))
            folded.append(step.pk)
        changed += [row for row in kept if row.passed]
    Execution._base_manager.using(alias).bulk_update(batch, ["passed"])
    Step._base_manager.using(alias).bulk_update(changed, ["passed"], batch_size=500)
    Step._base_manager.using(alias).filter(pk__in=folded)._raw_delete(alias)


def _owner(execution, kept, at):
    """Return the row whose end led to a visit at this time: the engine closes it at that time."""
    ended = [row for row in kept if row.closed_at == at]
    if ended:
        return ended[-1]
    # An import may have other times.
    before = [row for row in kept if row.closed_at is not None and row.opened_at <= at]
    return before[-1] if before and execution.started_at != at else execution


def _referenced_steps(Step, alias, executions):
    found = set()
    for relation in Step._meta.related_objects:
        if relation.field.remote_field.model is Step:
            rows = relation.related_model._base_manager.using(alias)
            name = relation.field.name
            rows = rows.filter(**{f"{name}__execution__in": executions})
            found |= set(rows.values_list(f"{name}_id", flat=True))
    return found


def _is_passed(step):
    return (
        step.state in ("done", "cancelled")
        and step.closed_at == step.opened_at
        and step.closed_by_id is None
        and not step.closed_by_name
        and step.attempt == 1
        and step.due_at is None
        and step.incident is None
        and step.notice is None
        and step.passed is None
    )


def _entry(step, at):
    entry = {"step": step.cuid, "node": step.node_id, "type": step.type}
    for name in VALUES:
        value = getattr(step, name)
        if value is not None and value != "":
            entry[name] = value
    if step.child_id:
        entry["child"] = step.child.cuid
    if step.state != "done":
        entry["state"] = step.state
    if step.opened_at != at:
        entry["opened_at"] = entry["closed_at"] = step.opened_at.isoformat()
    return entry


def unfold(apps, schema_editor):
    alias = schema_editor.connection.alias
    for name, columns in (("Execution", ("started_at",)), ("Step", ("closed_at", "execution_id"))):
        rows = apps.get_model("executions", name)._base_manager.using(alias)
        while True:
            with transaction.atomic(using=alias):
                batch = rows.filter(passed__isnull=False).order_by("pk").only("passed", *columns)
                batch = list(batch[:BATCH])
                if not batch:
                    break
                _unfold_batch(apps, alias, batch, columns[0])
                _clear(apps, alias, rows.filter(pk__in=[row.pk for row in batch]))


def _clear(apps, alias, rows):
    """Empty the lists, which the triggers let a transaction change only row by row."""
    Unsealed = apps.get_model("workflows", "Unsealed")
    opened = [
        Unsealed(table_name=rows.model._meta.db_table, row_id=pk, why="Migrated back.")
        for pk in rows.values_list("pk", flat=True)
    ]
    Unsealed._base_manager.using(alias).bulk_create(opened)
    rows.update(passed=None)
    Unsealed._base_manager.using(alias).filter(pk__in=[row.pk for row in opened]).delete()


def _unfold_batch(apps, alias, batch, at):
    Execution, Step = apps.get_model("executions", "Execution"), apps.get_model("executions", "Step")
    called = {entry["child"] for row in batch for entry in row.passed if "child" in entry}
    children = Execution._base_manager.using(alias).filter(cuid__in=called)
    ids = dict(children.values_list("cuid", "pk"))
    steps = [
        Step(
            cuid=entry["step"],
            execution_id=getattr(row, "execution_id", row.pk),
            node_id=entry["node"],
            type=entry["type"],
            state=entry.get("state", "done"),
            opened_at=_moment(entry, "opened_at") or getattr(row, at),
            closed_at=_moment(entry, "closed_at") or getattr(row, at),
            child_id=ids.get(entry.get("child")),
            **{name: entry[name] for name in VALUES if name in entry},
        )
        for row in batch
        for entry in row.passed
    ]
    Step._base_manager.using(alias).bulk_create(steps, batch_size=500)


def _moment(entry, name):
    return parse_datetime(entry[name]) if entry.get(name) else None


class Migration(migrations.Migration):

    atomic = False
    # The write-once triggers stay in place.
    beside_traffic = True

    dependencies = [
        ('executions', '0031_passed_nodes'),
        ('workflows', '0013_labels'),
    ]

    operations = [
        migrations.RunPython(fold, unfold),
    ]
