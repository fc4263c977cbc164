"""Filters of lists that people have given a name."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.http import QueryDict

from workflows import guards
from workflows.db.json_values import storage_problem
from workflows.models.unique_name import NameKeyField, assign_name_key, unique_name_key

SHARE_FILTERS = "workflows.share_savedfilter"
"""The permission to share filters with everyone, and to change those that are shared."""
LONGEST = 2_000
BY_TYPE = "entity_name_type__id__exact"
"""How the lists of the admin are filtered by a finding type."""


class SavedFilterQuerySet(models.QuerySet["SavedFilter"]):
    """Saved filters, by who may use them."""

    def visible_to(self, user: Any) -> SavedFilterQuerySet:
        """The user's own, and those that are shared with everyone."""
        return self.filter(Q(user=user) | Q(shared=True))

    def merge_types(self, source: int, target: int) -> None:
        """Let what is filtered by one finding type, by its id, be filtered by another."""
        for row in self.filter(query__contains=BY_TYPE):
            query = QueryDict(row.query, mutable=True)
            for name in query:
                if name.endswith(BY_TYPE):
                    values = query.getlist(name)
                    query.setlist(
                        name, [str(target) if value == str(source) else value for value in values]
                    )
            row.query = plain(query)
            row.save(update_fields=["query"])


class SavedFilter(models.Model):
    """What a list of the admin is filtered by, under a name: its owner's, or everyone's.

    ``query`` is that of the list's address; a row that it names by its id may be gone, and the
    list is empty then.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    list = models.CharField(max_length=100, help_text="The model that is listed: app.model.")
    name = models.CharField(max_length=100)
    name_key = NameKeyField()
    query = models.TextField(blank=True)
    shared = models.BooleanField(
        default=False, verbose_name="shared with everyone", help_text="Everyone finds it then."
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
                violation_error_message="You have a filter of this name for this list.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save. Raises ``guards.NameInUse`` and ``guards.NameUnseen``."""
        written = kwargs.get("update_fields")
        if written is None or "name" in written:
            self._settle_name()
            if written is not None:
                kwargs["update_fields"] = {*written, "name_key"}
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Raises ``ValidationError`` for a query that is too long, or that no database keeps.

        The name must differ from the owner's others of the list: ``guards.NameInUse``.
        """
        super().clean()
        try:
            self._settle_name()
        except (guards.NameInUse, guards.InvisibleName) as refusal:
            raise ValidationError({"name": refusal}) from None
        if reason := storage_problem(self.query):
            raise ValidationError(f"The filter {reason}.", code="invalid")
        if len(self.query) > LONGEST:
            raise ValidationError("The filter is too long to be kept.", code="invalid")
        self.query = plain(QueryDict(self.query))

    def can_be_changed_by(self, user: Any) -> bool:
        """Whether this user may rename, share or delete it."""
        if self.shared:
            return bool(user.has_perm(SHARE_FILTERS))
        return bool(self.user_id == user.pk)

    def _settle_name(self) -> None:
        rows = SavedFilter._base_manager
        assign_name_key(self, rows.filter(user=self.user_id, list=self.list))


def plain(query: QueryDict, *, without: tuple[str, ...] = ("p", "all", "e")) -> str:
    """A query in the order of its names, without the page and what is only told once."""
    pairs = [(name, value) for name in sorted(query) for value in query.getlist(name)]
    kept = QueryDict(mutable=True)
    for name, value in pairs:
        if name not in without and not name.startswith("_"):
            kept.appendlist(name, value)
    return kept.urlencode()
