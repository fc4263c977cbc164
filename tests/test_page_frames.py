"""The headings, breadcrumbs and tab titles of all admin pages, and lists as cards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.contrib import admin
from django.template import Context, Template
from django.test import Client
from django.urls import reverse
from django.utils.html import escape, strip_tags
from django.utils.safestring import SafeString

from tests.people import Samples, create_samples, roll_back
from tests.test_role_pages import PAGES, address
from workflows.templatetags.admin_lists import counted, labelled, list_title_of

ID = re.compile(r"\bc[a-z0-9]{24}\b|\b[0-9a-f]{64,}\b")
"""A cuid, or the hash of a token."""


def part_of(html: str, pattern: str) -> str:
    found = re.search(pattern, html, re.S)
    return " ".join(unescape(strip_tags(found[1])).split()) if found else ""


def find_faults(html: str) -> Iterator[str]:
    """Yield the rules that the frame of a page breaks."""
    crumbs = re.search(r'<div class="breadcrumbs">.*?</div>', html, re.S)
    title = part_of(html, r"<title>(.*?)</title>")
    heading = part_of(html, r"<h1>(.*?)</h1>")
    if crumbs is None:
        yield "no breadcrumbs"
        return
    if re.search(r'href="/admin/[a-z]+/"', crumbs[0]):
        yield "a link to the models of an app"
    above = re.search(r'<a href="(/admin/[a-z]+/[a-z]+/)">(.*?)</a>', crumbs[0])
    entry = above and part_of(html, rf'<th [^>]*><a href="{above[1]}"[^>]*>(.*?)</a>')
    if entry and entry != above[2]:
        yield f"“{above[2]}” is “{entry}” in the navigation"
    if not title.endswith(" | Holdfast") or heading not in title:
        yield f"tab title “{title}” for “{heading}”"
    if ID.search(title + heading + strip_tags(crumbs[0])):
        yield "an id where a name belongs"
    if 'href="#"' in html:
        yield "a link that needs a script"


def visit_as(username: str, settings: Any) -> tuple[Client, Samples]:
    """Return the client of a sample user, and all samples."""
    made = create_samples(settings, is_staff=True)
    client = Client()
    client.force_login(made.users[username])
    return client, made


@pytest.mark.django_db
def test_pages_name_records_and_lists_in_one_way(settings: Any) -> None:
    client, made = visit_as("administrator", settings)
    found = []
    for name in PAGES:
        with roll_back():
            response = client.get(address(name, made))
        is_page = response.status_code == 200 and "html" in response["Content-Type"]
        html = response.content.decode() if is_page else ""
        found += [f"{name}: {fault}" for fault in (find_faults(html) if is_page else ())]
    assert not found, "\n".join(found)


@pytest.mark.django_db
def test_box_that_selects_all_rows_has_a_label_on_cards(settings: Any) -> None:
    client, made = visit_as("operator", settings)
    html = client.get(address("executions_finding_changelist", made)).content.decode()
    assert re.search(
        r'<th scope="col"[^>]*action-checkbox-column[^>]* data-label="Select all">', html
    )


def lists() -> dict[str, tuple[str, Any]]:
    """Return the URL and the admin of each list, by the name of its model."""
    found = ((model._meta, page) for model, page in admin.site._registry.items())
    return {
        str(meta.model_name): (
            reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist"),
            page,
        )
        for meta, page in found
    }


@pytest.mark.parametrize("name", sorted({*lists()} - {"user", "group"}))
@pytest.mark.django_db
def test_empty_list_offers_no_actions_and_says_how_records_get_there(
    name: str, admin_client: Client
) -> None:
    path, page = lists()[name]
    html = admin_client.get(path).content.decode()
    (said,) = re.findall(r'<p class="nothing">([^<]+)</p>', html)
    assert said == str(escape(page.empty_text)) and said.endswith(".")
    assert 'name="action"' not in html
    if page.search_fields:
        assert "Nothing matches the search" in admin_client.get(path + "?q=zz").content.decode()


@pytest.mark.parametrize("name", sorted({*lists()} - {"auditentry"}))
def test_list_counts_its_records_by_the_name_of_the_list(name: str) -> None:
    options = lists()[name][1].opts
    assert counted(options, 0).lower() == f"0 {list_title_of(options)}".lower()
    assert counted(options, 1) != counted(options, 0).replace("0", "1") or name == "failedlogins"


@pytest.mark.django_db
def test_deletion_summary_names_lists_and_leaves_out_links(settings: Any) -> None:
    client, made = visit_as("superuser", settings)
    html = client.get(address("auth_user_delete", made)).content.decode()
    assert re.findall(r"<li>(.*?: \d)</li>", html) == ["Users: 1", "API tokens: 1"]
    group = client.get(address("auth_group_delete", made)).content.decode()
    assert re.findall(r"<li>(.*?: \d+)</li>", group) == ["Groups: 1"]
    assert "Delete “viewer”? This cannot be undone." in group


@pytest.mark.parametrize("page", ["/admin/workflows/version/1/delete/", "/admin/nowhere/"])
@pytest.mark.django_db
def test_error_page_has_the_navigation(page: str, admin_client: Client) -> None:
    html = admin_client.get(page.replace("version/1/delete", "auditentry/add")).content.decode()
    assert '<nav class="sticky" id="nav-sidebar"' in html
    assert list(find_faults(html)) == []


def test_cells_of_a_row_have_the_headings_of_their_columns() -> None:
    headers = [
        {"text": "<input>", "class_attrib": ' class="action-checkbox-column"'},
        {"text": "title", "class_attrib": ""},
        {"text": "“due”", "class_attrib": ""},
        {"text": "shared", "class_attrib": ""},
    ]
    cells = [
        SafeString('<td class="action-checkbox"><input></td>'),
        SafeString('<th class="field-title"><a href="/td/">One</a></th>'),
        SafeString('<td class="field-due">–</td>'),
        SafeString('<td class="field-shared"><img src="yes.svg" alt="True"></td>'),
    ]
    assert [str(cell) for cell in labelled(cells, headers)] == [
        '<td class="action-checkbox"><input></td>',
        '<th data-label="Title" class="field-title"><a href="/td/">One</a></th>',
        '<td data-label="“due”" data-empty="" class="field-due">–</td>',
        '<td data-label="Shared" class="field-shared"><img src="yes.svg" alt="True"></td>',
    ]
    source = "{% load admin_lists %}{% for cell in row|labelled:heads %}{{ cell }}{% endfor %}"
    template = Template(source)
    assert "<th data-label" in template.render(Context({"row": cells, "heads": headers}))
