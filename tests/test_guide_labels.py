"""Labels that the guide prints in bold are labels of the admin."""

from __future__ import annotations

import re
from functools import cache
from html import unescape
from pathlib import Path

import django
import pytest
from django.apps import apps
from django.conf import settings
from django.utils.text import capfirst

from tests.guide import DOCS, PAGES, Page

ROOT = Path(settings.BASE_DIR)


@pytest.mark.parametrize("name", [Page(path).name for path in PAGES])
def test_page_names_labels_that_the_admin_has(name: str) -> None:
    text = re.sub(r"```.*?```", "", Page(DOCS / name).text, flags=re.DOTALL)
    labels = {" ".join(label.split()) for label in re.findall(r"\*\*([^*]+)\*\*", text)}
    known = model_labels()
    assert [label for label in sorted(labels - known) if label not in sources()] == []


@cache
def sources() -> str:
    """Return the sources of the admin's texts, Django's own too, with white space collapsed."""
    folders = [ROOT / app for app in ("workflows", "executions", "workflows_project")]
    folders.append(Path(django.__file__).parent / "contrib" / "admin")
    return "\n".join(
        " ".join(unescape(path.read_text()).split())
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in {".py", ".html"}
    )


@cache
def model_labels() -> set[str]:
    """Return the labels that Django derives from the names of models and their fields."""
    labels = set()
    for model in apps.get_models():
        options = model._meta
        labels |= {f"Add {options.verbose_name}", capfirst(str(options.verbose_name_plural))}
        labels |= {
            capfirst(str(getattr(field, "verbose_name", ""))) for field in options.get_fields()
        }
    return labels
