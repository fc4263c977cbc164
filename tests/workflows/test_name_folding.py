"""Look-alike names are refused by every interface."""

from __future__ import annotations

import unicodedata
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from executions.models import Secret
from tests.factories import FindingTypeFactory, RecordTypeFactory, UserFactory
from tests.workflows.api.clients import client_of
from workflows import guards
from workflows.models import FindingType, RecordType, SavedFilter
from workflows.values.name_folding import fold_name, hash_name

NAME = "Übermäßige Frist"
ALIKE = [
    "übermäßige frist",
    "ÜBERMÄSSIGE FRIST",
    unicodedata.normalize("NFD", NAME),
    "Übermäßige\u00a0Frist",
    "Übermäßige  Frist ",
    "Über\u200bmäßige Frist",
    "Über\u00admäßige Frist",
    "\u2066Übermäßige Frist\u2069",
    "Übermäßige Frist\ufe0f",
    "Übermäßige Ｆrist",
    "Übermäßige Fri\ufb06",
]


@pytest.mark.parametrize("name", ALIKE)
def test_look_alike_names_fold_to_one(name):
    assert fold_name(name) == fold_name(NAME)


@pytest.mark.parametrize("name", ["Uebermaessige Frist", "Übermäßige Frist 2", "Übermäßige-Frist"])
def test_different_names_fold_differently(name):
    assert fold_name(name) != fold_name(NAME)


@pytest.mark.django_db
@pytest.mark.both_databases
@pytest.mark.parametrize("factory", [FindingTypeFactory, RecordTypeFactory])
def test_look_alike_name_is_refused_by_every_statement(factory):
    first = factory(name=NAME)
    model: Any = type(first)
    other = factory(name="Other")
    for name in ALIKE[:3]:
        with pytest.raises(guards.NameInUse, match="differs from"):
            model.objects.create(name=name)
        with pytest.raises(guards.NameInUse):
            model.objects.get_or_create(name=name)
        with pytest.raises(guards.NameInUse):
            model.objects.filter(pk=other.pk).update(name=name)
        other.name = name
        with pytest.raises(guards.NameInUse):
            other.save(update_fields=["name"])
        with pytest.raises(guards.NameInUse):
            model.objects.bulk_update([other], ["name"])
        with pytest.raises(IntegrityError), transaction.atomic():
            model.objects.bulk_create([model(name=name)])
    for unseen in ("\u200b", " \u3164 "):
        with pytest.raises(guards.InvisibleName):
            model.objects.create(name=unseen)


@pytest.mark.django_db
def test_record_may_change_the_case_of_its_name():
    kind = FindingTypeFactory(name=NAME)
    kind.description = "x"
    kind.save()
    kind.name = ALIKE[0]
    kind.save()
    assert FindingType.objects.get().name == ALIKE[0]
    RecordTypeFactory(name=NAME)
    assert RecordType.objects.get_or_create(name=NAME)[1] is False


@pytest.mark.django_db
def test_existing_look_alikes_stay_when_records_are_edited():
    FindingTypeFactory(name=NAME)
    old = FindingType(name="Old")
    FindingType._base_manager.bulk_create([old])
    FindingType._base_manager.filter(pk=old.pk).update(name=ALIKE[0], name_key=None)
    old = FindingType.objects.get(pk=old.pk)
    old.description = "edited"
    old.full_clean()
    old.save()
    old.name = "Another"
    old.save()
    assert FindingType.objects.get(pk=old.pk).name_key is not None


@pytest.mark.django_db
def test_api_refuses_a_look_alike_name_with_a_pointer():
    api = client_of(superuser=True)
    FindingTypeFactory(name=NAME)
    answer = api.post("finding-types/", {"name": ALIKE[0]})
    assert (answer.status_code, answer.json()["code"]) == (400, "name_in_use")
    assert answer.json()["errors"][0]["pointer"] == "/name"
    assert api.post("finding-types/", {"name": NAME}).json()["code"] == "unique"


@pytest.mark.django_db
def test_admin_refuses_look_alike_groups_and_users(admin_client: Client):
    add = reverse("admin:auth_group_add")
    assert admin_client.post(add, {"name": NAME}).status_code == 302
    for name in [*ALIKE, "\u200b", "\u3164"]:
        assert admin_client.post(add, {"name": name}).status_code == 200, name
    group = Group.objects.get(name=NAME)
    change = reverse("admin:auth_group_change", args=[group.pk])
    assert admin_client.post(change, {"name": ALIKE[0]}).status_code == 302
    group.refresh_from_db()
    assert group.name == ALIKE[0]
    UserFactory(username="ada")
    bob = UserFactory(username="bob")
    page = reverse("admin:auth_user_change", args=[bob.pk])
    typed = {"username": "ADA", "date_joined_0": "2026-01-01", "date_joined_1": "00:00"}
    answer = admin_client.post(page, typed)
    assert "only in case" in answer.content.decode()
    bob.refresh_from_db()
    assert bob.username == "bob"


@pytest.mark.django_db
def test_secrets_and_saved_filters_refuse_look_alike_names(settings):
    settings.SECRETS_KEY = ["q2gmFNDYEzYMVJV7uiBJkXZ1oHMO5I6A8rPBqj1wGCs="]
    one, two = Secret(name="crm_key"), Secret(name="CRM_KEY")
    one.set_value("x" * 8)
    one.save()
    two.set_value("x" * 8)
    with pytest.raises(guards.NameInUse):
        two.save()
    ada, bob = UserFactory(), UserFactory()
    SavedFilter.objects.create(user=ada, list="workflows.workflow", name="Mine")
    with pytest.raises(guards.NameInUse):
        SavedFilter.objects.create(user=ada, list="workflows.workflow", name="mine")
    SavedFilter.objects.create(user=bob, list="workflows.workflow", name="mine")
    SavedFilter.objects.create(user=ada, list="executions.finding", name="mine")


@pytest.mark.django_db(transaction=True)
@pytest.mark.both_databases
def test_migration_keeps_look_alikes_and_gives_the_first_its_key():
    rows = [FindingType(name=name) for name in (NAME, "Other", *ALIKE[:2])]
    for row in rows:
        FindingType._base_manager.bulk_create([row])
        FindingType._base_manager.filter(pk=row.pk).update(name_key=None)
    module = import_module("workflows.migrations.0008_names_alike")
    with connection.schema_editor() as editor:
        module.fill(apps, editor)
    found = dict(FindingType.objects.values_list("name", "name_key"))
    assert found == {
        NAME: hash_name(NAME),
        "Other": hash_name("Other"),
        ALIKE[0]: None,
        ALIKE[1]: None,
    }
    assert [module.key(name) for name in [NAME, *ALIKE]] == [hash_name(NAME)] * (len(ALIKE) + 1)
