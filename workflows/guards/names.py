"""The rule that names differ in more than case, invisible characters and Unicode form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows.db.json_values import quoted
from workflows.refusals import Problem, Refusal, Remedy
from workflows.values import name_folding


class NameInUse(Refusal):
    message = _(
        "Another record has this name, apart from case, invisible characters or Unicode form."
    )
    code = "name_in_use"


class InvisibleName(Refusal):
    message = _("Enter a name with at least one visible character.")
    code = "name_unseen"


def refuse_name(name: str, others: QuerySet[Any]) -> None:
    """Refuse a name that looks like the name of another row.

    An identical name is left to the unique constraint, because ``get_or_create`` expects its error.

    Args:
        name: the new name.
        others: the rows that it must differ from.

    Raises:
        NameInUse: a name differs only in case, invisible characters or Unicode form.
        InvisibleName: the name has no visible character.
    """
    _refuse_invisible(name)
    taken = others.filter(name_key=name_folding.hash_name(name)).exclude(name=name).first()
    if taken is not None:
        raise _in_use(name, taken.name)


def refuse_name_like(name: str, others: Iterable[str]) -> None:
    """Refuse a name that looks like one of these; an identical one is left to the constraint.

    Raises:
        NameInUse: a name differs only in case, invisible characters or Unicode form.
        InvisibleName: the name has no visible character.
    """
    _refuse_invisible(name)
    key = name_folding.hash_name(name)
    for other in others:
        if other != name and name_folding.hash_name(other) == key:
            raise _in_use(name, other)


def _refuse_invisible(name: str) -> None:
    if not name_folding.fold_name(name):
        detail = str(InvisibleName.message)
        raise InvisibleName(problems=[Problem("/name", InvisibleName.code, detail)])


def _in_use(name: str, other: str) -> NameInUse:
    detail = gettext(
        "The name {name} differs from {other} only in case, invisible characters or Unicode form."
    ).format(name=quoted(name), other=quoted(other))
    return NameInUse(
        detail,
        problems=[Problem("/name", NameInUse.code, detail)],
        remedies=[
            Remedy(
                "other_name",
                gettext("Use {name}, or choose another name.").format(name=quoted(other)),
            )
        ],
    )
