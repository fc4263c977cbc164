"""The roles as groups, made once: what a maintainer changes in them afterwards stays.

A group that has the name of a role already is left alone: it was made for something else, and
its members would be given what nobody meant for them (``manage.py create_roles`` compares).

Filling in forms and changing finding types took the permissions to change executions and
workflows before they had permissions of their own: whoever had those is given these.
"""

from __future__ import annotations

from django.contrib.auth.management import create_permissions
from django.db import migrations

ALL = ("add", "change", "delete", "view")


def on(app, *models, actions=("view",)):
    return {(app, f"{action}_{model}") for model in models for action in actions}


VIEWER = on(
    "workflows",
    *("findingtype", "recordtype", "workflow", "version", "reference"),
    *("pendingchange", "pendingworkflow"),
) | on("executions", "entity", "finding", "inventorymodel", "execution", "pin", "step", "vote")
PARTICIPANT = VIEWER | {("executions", "submit_execution")}
DESIGNER = (
    VIEWER
    | on("workflows", "findingtype", "recordtype", "workflow", actions=ALL)
    | {("workflows", "add_version")}
)
OPERATOR = (
    VIEWER
    | on("executions", "finding", "inventorymodel", actions=ALL)
    | {
        ("executions", "add_execution"),
        ("executions", "change_execution"),
        ("workflows", "change_entity_context"),
    }
)
ADMINISTRATOR = (
    PARTICIPANT
    | DESIGNER
    | OPERATOR
    | {("workflows", "view_auditentry"), ("admin", "view_logentry")}
    | on("executions", "secret", actions=ALL)
    | on("auth", "user", "group", actions=ALL)
    | on("knox", "authtoken", actions=("view", "delete"))
)
ROLES = {
    "viewer": VIEWER,
    "participant": PARTICIPANT,
    "designer": DESIGNER,
    "operator": OPERATOR,
    "administrator": ADMINISTRATOR,
}
SPLIT = [
    (("executions", "change_execution"), ("executions", "submit_execution")),
    (("workflows", "change_workflow"), ("workflows", "change_entity_context")),
]


def make(apps, schema_editor):
    using = schema_editor.connection.alias
    _make_permissions(apps, using)
    permissions = {
        (row.content_type.app_label, row.codename): row
        for row in apps.get_model("auth", "Permission")
        .objects.using(using)
        .select_related("content_type")
    }
    for before, after in SPLIT:
        for group in permissions[before].group_set.all():
            group.permissions.add(permissions[after])
        for user in permissions[before].user_set.all():
            user.user_permissions.add(permissions[after])
    groups = apps.get_model("auth", "Group").objects.using(using)
    for name, wanted in ROLES.items():
        group, is_new = groups.get_or_create(name=name)
        if is_new:
            group.permissions.add(*(permissions[key] for key in wanted))


def _make_permissions(apps, using):
    """Django makes them when all migrations are done: too late, and the same rows."""
    for config in apps.get_app_configs():
        config.models_module = True
        create_permissions(config, verbosity=0, using=using, apps=apps)
        config.models_module = None


class Migration(migrations.Migration):
    dependencies = [
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("executions", "0009_who_submits"),
        ("knox", "0009_extend_authtoken_field"),
        ("workflows", "0005_who_changes_contexts"),
    ]

    operations = [
        # Who has a role keeps it when the migration is undone.
        migrations.RunPython(make, migrations.RunPython.noop),
    ]
