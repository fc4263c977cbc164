"""Versions get the rows of the people that their graphs name, and open steps point to them."""

import json
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import migrations, transaction

BATCH = 200
PEOPLE_AT = {"user_action": "assignees", "approval": ""}
OPEN = ("open", "incident")


def named_by(node: Any) -> dict[str, Any]:
    """Return the groups and users that a node names, however damaged it is."""
    data = node.get("data") if isinstance(node, dict) else None
    if not isinstance(data, dict) or node.get("type") not in PEOPLE_AT:
        return {}
    key = PEOPLE_AT[node["type"]]
    named = data.get(key) if key else data
    if not isinstance(named, dict):
        return {}
    return {
        noun: sorted({name for name in named[noun] if isinstance(name, str)})
        for noun in ("groups", "users")
        if isinstance(named.get(noun), list) and named[noun]
    }


def nodes_of(version: Any) -> Iterator[tuple[str, dict[str, Any], int]]:
    nodes = version.source.get("nodes") if isinstance(version.source, dict) else None
    for node in nodes if isinstance(nodes, list) else ():
        if named := named_by(node):
            needed = node["data"].get("needed")
            number = min(needed, 10_000) if type(needed) is int and needed > 1 else 1
            yield str(node.get("id")), named, number


def key_of(version: Any, node_id: str) -> str:
    return json.dumps(
        {"node": node_id, "version": version.pk},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )


def batches(apps: Any, db: str) -> Iterator[list[Any]]:
    Version = apps.get_model("workflows", "Version")
    last = 0
    while True:
        rows = Version.objects.using(db).filter(pk__gt=last).order_by("pk").only("pk", "source")
        batch = list(rows[:BATCH])
        if not batch:
            return
        yield batch
        last = batch[-1].pk


def open_steps(apps: Any, db: str, version: Any, node_id: str) -> Any:
    Step = apps.get_model("executions", "Step")
    steps = Step.objects.using(db).filter(state__in=OPEN, type__in=tuple(PEOPLE_AT))
    return steps.filter(execution__version=version.pk, node_id=node_id)


def accounts(apps: Any, db: str, batch: list[Any]) -> dict[tuple[str, str], int]:
    User = apps.get_model(settings.AUTH_USER_MODEL)
    Group = apps.get_model("auth", "Group")
    wanted: dict[str, set[str]] = {"groups": set(), "users": set()}
    for version in batch:
        for _, named, _ in nodes_of(version):
            for noun, names in named.items():
                wanted[noun] |= set(names)
    found: dict[tuple[str, str], int] = {}
    column = getattr(User, "USERNAME_FIELD", "username")
    for noun, model, name in (("groups", Group, "name"), ("users", User, column)):
        rows = model.objects.using(db).filter(**{f"{name}__in": wanted[noun]})
        found |= {(noun, text): pk for text, pk in rows.values_list(name, "pk")}
    return found


def resolve(apps: Any, schema_editor: Any) -> None:
    db = schema_editor.connection.alias
    Candidate = apps.get_model("workflows", "Candidate")
    for batch in batches(apps, db):
        known = accounts(apps, db, batch)
        with transaction.atomic(using=db):
            # An interrupted run begins again at any time.
            stored = Candidate.objects.using(db).filter(version__in=[row.pk for row in batch])
            done = set(stored.values_list("version_id", "node_id"))
            rows = []
            for version in batch:
                for node_id, named, needed in nodes_of(version):
                    key = key_of(version, node_id)
                    open_steps(apps, db, version, node_id).update(assignees=key)
                    if (version.pk, node_id) in done:
                        continue
                    for noun, names in named.items():
                        for name in names:
                            row = candidate(Candidate, version, node_id, key, noun, name, known)
                            row.needed = needed
                            rows.append(row)
            Candidate.objects.using(db).bulk_create(rows)


def candidate(
    model: Any, version: Any, node_id: str, key: str, noun: str, name: str, known: Any
) -> Any:
    account = known.get((noun, name))
    is_group = noun == "groups"
    return model(
        version_id=version.pk,
        node_id=node_id,
        key=key,
        is_group=is_group,
        name=name,
        group_id=account if is_group else None,
        user_id=None if is_group else account,
        is_unknown=account is None,
    )


def name_again(apps: Any, schema_editor: Any) -> None:
    db = schema_editor.connection.alias
    for batch in batches(apps, db):
        with transaction.atomic(using=db):
            for version in batch:
                for node_id, named, _ in nodes_of(version):
                    text = json.dumps(
                        named, sort_keys=True, separators=(",", ":"), ensure_ascii=False
                    )
                    open_steps(apps, db, version, node_id).update(assignees=text)
    apps.get_model("workflows", "Candidate").objects.using(db).all().delete()


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("executions", "0019_people"),
        ("workflows", "0009_candidates"),
    ]

    operations = [migrations.RunPython(resolve, name_again)]
