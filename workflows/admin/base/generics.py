"""Django classes that are generic in the type stubs but not at run time."""

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
        """A model admin that can be written as `ModelAdmin[Row]`."""

    class ModelForm(_Generic, forms.ModelForm):
        """A model form that can be written as `ModelForm[Row]`."""

    class Paginator(_Generic, paginator.Paginator):
        """A paginator that can be written as `Paginator[Row]`."""
