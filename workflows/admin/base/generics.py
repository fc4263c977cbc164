"""Django classes that take type parameters in the stubs, but not yet when the code runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core import paginator

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin
    ModelForm = forms.ModelForm
    Paginator = paginator.Paginator
else:

    class _Generic:
        def __class_getitem__(cls, parameters: Any) -> type:
            return cls

    class ModelAdmin(_Generic, admin.ModelAdmin):
        """A model admin, as `ModelAdmin[Row]`."""

    class ModelForm(_Generic, forms.ModelForm):
        """A model form, as `ModelForm[Row]`."""

    class Paginator(_Generic, paginator.Paginator):
        """A paginator, as `Paginator[Row]`."""
