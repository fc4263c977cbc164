"""Rules that keep rows in use from being deleted, retired or renamed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from workflows.guards.blockers import blocking_executions, blocking_workflows, count
from workflows.refusals import Blockers, Problem, Refusal, Remedy


class HasCallers(Refusal):
    message = _("Other workflows call this one.")
    code = "referenced"


class HasExecutions(Refusal):
    message = _("Cannot delete this workflow: executions have run on it.")
    code = "has_executions"


class TypeInUse(Refusal):
    message = _("Cannot delete this type: it is in use.")
    code = "type_in_use"


class InUse(Refusal):
    message = _("It is in use by live executions or active workflows.")
    code = "in_use"


def refuse_in_use(
    named: str,
    executions: QuerySet[Any],
    workflows: QuerySet[Any],
    *,
    edit: str,
    remedies: Iterable[Remedy],
    pointer: str = "",
) -> None:
    """Raise ``InUse`` if one of these live executions or active workflows exists.

    Args:
        named: the row in use, as the message names it: "the secret “CRM”".
        executions: the live executions that use it.
        workflows: the active workflows that use it.
        edit: the edit as a verb: "delete", "rename".
        remedies: the remedies to offer.
        pointer: the field that the edit would write.
    """
    runs, running = blocking_executions(executions)
    rows, total = blocking_workflows(workflows)
    if not running and not total:
        return
    users = [count(running, "live execution")] if running else []
    users += [count(total, "active workflow")] if total else []
    detail = ngettext(
        "Cannot {edit} {row}: {users} uses it.",
        "Cannot {edit} {row}: {users} use it.",
        running + total,
    ).format(edit=edit, row=named, users=gettext(" and ").join(users))
    raise InUse(
        detail,
        problems=[Problem(pointer, InUse.code, detail)] if pointer else (),
        blockers=Blockers(runs, rows, running + total),
        remedies=remedies,
    )


def refuse_referenced(callers: QuerySet[Any], *, edit: str) -> None:
    """Raise ``HasCallers`` if one of these callers exists.

    Args:
        callers: the workflows that call it.
        edit: the edit as a verb: "retire", "delete".
    """
    rows, total = blocking_workflows(callers)
    if rows:
        titles = ", ".join(f"“{row.title}”" for row in rows)
        raise HasCallers(
            ngettext(
                "Cannot {edit} this workflow: {count} other workflow calls it ({titles}).",
                "Cannot {edit} this workflow: {count} other workflows call it ({titles}).",
                total,
            ).format(edit=edit, count=total, titles=titles),
            blockers=Blockers((), rows, total),
            remedies=[
                Remedy(
                    "remove_calls",
                    gettext(
                        "Remove the run_workflow nodes that call it from these workflows, or "
                        "delete these workflows."
                    )
                    if edit == "delete"
                    else gettext(
                        "Remove the run_workflow nodes that call it from these workflows, or "
                        "retire these workflows."
                    ),
                    [row.cuid for row in rows],
                )
            ],
        )


def refuse_executions(executions: QuerySet[Any]) -> None:
    """Raise ``HasExecutions`` if a workflow has executions.

    Pins need no check: a pinned workflow is called by a stored version, which
    ``refuse_referenced`` refuses.
    """
    rows, total = blocking_executions(executions)
    if rows:
        raise HasExecutions(
            blockers=Blockers(rows, (), total),
            remedies=[
                Remedy(
                    "retire",
                    gettext("Retire the workflow instead. Its executions remain readable."),
                )
            ],
        )


def find_uses_of_type(row: Any) -> Iterable[tuple[str, QuerySet[Any]]]:
    """Return the rows with a foreign key to this type, with the name of their model."""
    for relation in row._meta.get_fields(include_hidden=True):
        if (
            relation.auto_created
            and relation.one_to_many
            and not relation.related_model._meta.proxy
        ):
            yield (
                str(relation.related_model._meta.verbose_name),
                relation.related_model._base_manager.filter(**{relation.field.name: row}),
            )


def refuse_type_deletion(row: Any) -> None:
    """Raise ``TypeInUse`` if a row uses this finding type or record type."""
    uses = [(name, users.count(), users) for name, users in find_uses_of_type(row)]
    used = [(name, number, users) for name, number, users in uses if number]
    if not used:
        return
    workflows = next((users for name, _, users in used if name == "workflow"), None)
    rows, _ = blocking_workflows(workflows) if workflows is not None else ([], 0)
    raise TypeInUse(
        gettext("Cannot delete the {model} “{row}”: it is in use by {users}.").format(
            model=row._meta.verbose_name,
            row=row,
            users=", ".join(count(number, name) for name, number, _ in used),
        ),
        blockers=Blockers((), rows, sum(number for _, number, _ in used)),
        remedies=[Remedy("change_type", gettext("Give these records another type first."))],
    )
