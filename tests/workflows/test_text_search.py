"""Text search: the same on both databases, in every script."""

from __future__ import annotations

import unicodedata

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from tests.factories import FindingFactory, FindingTypeFactory, WorkflowFactory
from tests.workflows.api.clients import client_of
from workflows.db.text_search import like
from workflows.models import FindingType, Workflow

FOUND = [
    ("Übermäßig", "über"),
    ("übermäßig", "ÜBER"),
    ("МОСКВА", "москва"),
    ("ΟΔΟΣ", "οδος"),
    ("ὀδός", "ΟΔΌΣ"[1:]),
    (unicodedata.normalize("NFD", "Überfällig"), "überfällig"),
    ("Überfällig", unicodedata.normalize("NFD", "ÜBERFÄLLIG")),
    ("Straße", "STRAß"),
    ("ılık", "ILIK"),
    ("İstanbul", "İSTANBUL"),
    ("İstanbul", "i\u0307stanbul"),
    ("i\u0307stanbul", "İSTANBUL"),
    ("Straße", "STRAẞE"),
    ("STRAẞE", "straße"),
    ("ᾀδω", "ᾈΔΩ"),
    ("50% done", "50%"),
    ("a_b", "A_B"),
    ("back\\slash", "K\\S"),
    ("日本語", "本"),
    ("line\nbreak", "LINE\nB"),
]
NOT_FOUND = [
    ("Straße", "STRASSE"),
    ("STRAẞE", "strasse"),
    ("İstanbul", "istanbul"),
    ("Uber", "Über"),
    ("50 done", "50%"),
    ("axb", "a_b"),
    ("ab", "a%b"),
]


@pytest.mark.django_db
@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("title", "term", "number"),
    [(*pair, 1) for pair in FOUND] + [(*pair, 0) for pair in NOT_FOUND],
)
def test_search_finds_part_of_a_title_in_any_case(title, term, number):
    WorkflowFactory(title=title)
    assert Workflow.objects.filter(title__icontains=term).count() == number


@pytest.mark.django_db
@pytest.mark.both_databases
def test_every_interface_finds_the_same_rows():
    kind = FindingTypeFactory(name="Überprüfung")
    FindingFactory(title="Übermäßig", entity_name_type=kind)
    api = client_of(superuser=True)
    for route, query in (
        ("findings/", {"search": "ÜBERMÄ"}),
        ("findings/", {"title": "ÜBERMÄ"}),
        ("finding-types/", {"search": "überPRÜF"}),
    ):
        assert api.get(route, query).json()["count"] == 1, (route, query)
        for wild in ("%", "_"):
            nothing = dict.fromkeys(query, wild)
            assert api.get(route, nothing).json()["count"] == 0
        nul = dict.fromkeys(query, "\x00")
        assert api.get(route, nul).status_code == 400
    admin = get_user_model().objects.create_superuser("root")
    pages = Client()
    pages.force_login(admin)
    found_titles = pages.get(reverse("admin:executions_finding_changelist"), {"q": "übermä"})
    assert "Übermäßig" in found_titles.content.decode()


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("%ü%", "Ü", True),
        ("Ü%", "über", True),
        ("_", "ü", True),
        ("_", "üü", False),
        ("ü", "Ü.", False),
        ("Ü.", "ü.", True),
        ("a!%b", "A%B", True),
        ("a!%b", "AxB", False),
        ("%", "", True),
        ("%%", "x", True),
        ("1%", 12, True),
        (None, "x", None),
        ("x", None, None),
    ],
)
def test_like_follows_sql_patterns(pattern, text, expected):
    assert like(pattern, text, "!") is expected


@pytest.mark.django_db
def test_like_of_sqlite_is_replaced():
    FindingTypeFactory(name="Äpfel")
    assert FindingType.objects.filter(name__iexact="äPFEL").exists()
