"""Saved filters of the admin's lists."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from workflows import guards
from workflows.db.json_values import storage_problem
from workflows.models.unique_name import NameKeyField, assign_name_key, unique_name_key

SHARE_FILTERS = "workflows.share_savedfilter"
"""The permission to share filters with everyone, and to change those that are shared."""
LONGEST = 2_000
BY_TYPE = "entity_name_type__id__exact"
"""The query parameter that filters a list of the admin by finding type."""


class SavedFilterQuerySet(models.QuerySet["SavedFilter"]):
    """Saved filters, by the user who may use them."""

    def visible_to(self, user: Any) -> SavedFilterQuerySet:
        """Return the user's own filters, and those that are shared with everyone."""
        return self.filter(Q(user=user) | Q(shared=True))

    def merge_types(self, source: int, target: int) -> None:
        """Replace the id of a finding type in all filters."""
        for row in self.filter(query__contains=BY_TYPE):
            query = QueryDict(row.query, mutable=True)
            for name in query:
                if name.endswith(BY_TYPE):
                    values = query.getlist(name)
                    query.setlist(
                        name, [str(target) if value == str(source) else value for value in values]
                    )
            row.query = normalize_query(query)
            row.save(update_fields=["query"])


class SavedFilter(models.Model):
    """A named filter of a list of the admin, private or shared with everyone.

    ``query`` is the query string of the list. It may contain the id of a row that has been deleted;
    the list is empty then.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    list = models.CharField(max_length=100, help_text=_("The model of the list, as app.model."))
    name = models.CharField(max_length=100)
    name_key = NameKeyField()
    query = models.TextField(blank=True)
    shared = models.BooleanField(
        default=False,
        verbose_name=_("shared with everyone"),
        help_text=_("Everyone can use the filter."),
    )

    objects = SavedFilterQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["list", "name", "pk"]
        default_permissions = ()
        permissions: ClassVar = [("share_savedfilter", "Can share filters with everyone")]
        constraints: ClassVar = [
            unique_name_key("user", "list"),
            models.UniqueConstraint(
                fields=["user", "list", "name"],
                name="workflows_savedfilter_once",
                violation_error_message=_("You already have a filter with this name."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the filter. Raise ``guards.NameInUse`` or ``guards.InvisibleName``."""
        written = kwargs.get("update_fields")
        if written is None or "name" in written:
            self._settle_name()
            if written is not None:
                kwargs["update_fields"] = {*written, "name_key"}
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Raise ``ValidationError`` for an invalid query, or for a name that is not possible.

        A query is invalid if it is too long or cannot be stored. The name must look different from
        the names of the owner's other filters of the list.
        """
        super().clean()
        try:
            self._settle_name()
        except (guards.NameInUse, guards.InvisibleName) as refusal:
            raise ValidationError({"name": refusal}) from None
        if reason := storage_problem(self.query):
            raise ValidationError(
                _("The filter %(reason)s."), code="invalid", params={"reason": reason}
            )
        if len(self.query) > LONGEST:
            raise ValidationError(_("The filter is too long to be saved."), code="invalid")
        self.query = normalize_query(QueryDict(self.query))

    def can_be_changed_by(self, user: Any) -> bool:
        """Return True if this user may rename, share or delete the filter."""
        if self.shared:
            return bool(user.has_perm(SHARE_FILTERS))
        return bool(self.user_id == user.pk)

    def _settle_name(self) -> None:
        rows = SavedFilter._base_manager
        assign_name_key(self, rows.filter(user=self.user_id, list=self.list))


def normalize_query(query: QueryDict, *, without: tuple[str, ...] = ("p", "all", "e")) -> str:
    """Return the query string sorted by name, without the page and one-time parameters."""
    pairs = [(name, value) for name in sorted(query) for value in query.getlist(name)]
    result = QueryDict(mutable=True)
    for name, value in pairs:
        if name not in without and not name.startswith("_"):
            result.appendlist(name, value)
    return result.urlencode()
