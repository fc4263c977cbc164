"""Lists that answer to every filter in their address."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.db import DataError
from django.http import HttpRequest

from workflows.admin.base.generics import ModelAdmin


class ListAdmin(ModelAdmin[Any]):
    """A list without filters is shown for filters that no database can be asked for."""

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list. Raises ``IncorrectLookupParameters``."""
        try:
            return super().get_changelist_instance(request)
        except (DataError, OverflowError, ValueError) as error:
            # Years such as 0 and -1, and numbers and times that lie outside what is stored.
            raise IncorrectLookupParameters(error) from error
