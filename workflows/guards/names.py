"""Two names that people take for one are one name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
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
    message = _("Write a name that has at least one visible character.")
    code = "name_unseen"


def refuse_name(name: str, others: QuerySet[Any]) -> None:
    """Refuse a name that nobody could tell from another one's.

    Args:
        name: the name that a record is to have.
        others: the records that it must differ from. One with the very same name is left to the
            unique constraint, which ``get_or_create`` looks for.

    Raises:
        NameInUse: one of them has it, but for what people do not tell apart.
        NameUnseen: nothing of it is seen.
    """
    _refuse_unseen(name)
    taken = others.filter(name_key=name_folding.hash_name(name)).exclude(name=name).first()
    if taken is not None:
        raise _in_use(name, taken.name)


def refuse_name_like(name: str, others: Iterable[str]) -> None:
    """Refuse a name that nobody could tell from another of these.

    One that is the very same is left to the unique constraint.

    Raises:
        NameInUse: one of them is the same, but for what people do not tell apart.
        NameUnseen: nothing of it is seen.
    """
    _refuse_unseen(name)
    key = name_folding.hash_name(name)
    for other in others:
        if other != name and name_folding.hash_name(other) == key:
            raise _in_use(name, other)


def _refuse_unseen(name: str) -> None:
    if not name_folding.fold_name(name):
        detail = "Enter a name with at least one visible character."
        raise InvisibleName(detail, problems=[Problem("/name", InvisibleName.code, detail)])


def _in_use(name: str, other: str) -> NameInUse:
    detail = (
        f"The name {quoted(name)} differs from {quoted(other)} only in case, invisible"
        " characters or Unicode form."
    )
    return NameInUse(
        detail,
        problems=[Problem("/name", NameInUse.code, detail)],
        remedies=[Remedy("other_name", f"Use {quoted(other)}, or choose another name.")],
    )
