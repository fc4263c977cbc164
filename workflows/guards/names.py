"""Two names that people take for one are one name."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from workflows import names
from workflows.jsontext import quoted
from workflows.refusals import Problem, Refusal, Remedy


class NameInUse(Refusal):
    message = _(
        "Another record has this name, apart from case, invisible characters or Unicode form."
    )
    code = "name_in_use"


class NameUnseen(Refusal):
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
    if not names.look(name):
        detail = "Enter a name with at least one visible character."
        raise NameUnseen(detail, problems=[Problem("/name", NameUnseen.code, detail)])
    taken = others.filter(name_key=names.key(name)).exclude(name=name).first()
    if taken is not None:
        detail = (
            f"The name {quoted(name)} differs from {quoted(taken.name)} only in case, invisible"
            " characters or Unicode form."
        )
        raise NameInUse(
            detail,
            problems=[Problem("/name", NameInUse.code, detail)],
            remedies=[Remedy("other_name", f"Use {quoted(taken.name)}, or choose another name.")],
        )
