"""Files of forms in the admin: uploaded with the form, offered again, and downloaded."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client as Browser
from django.urls import reverse

from executions.models import Execution, FormDraft, FormFile
from tests.executions.form_files import (
    CONTENT,
    a_file,
    content_of,
    start_with_files,
    submit,
    uploaded,
)
from tests.factories import user_in

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("invariants"),
]


@pytest.fixture
def ada() -> Any:
    return user_in("participant", username="ada", is_staff=True)


@pytest.fixture
def execution() -> Execution:
    return start_with_files()


def own(execution: Execution) -> str:
    return reverse("admin:executions_execution_change", args=[execution.pk])


def log_in_browser(user: Any) -> Browser:
    browser = Browser()
    browser.force_login(user)
    return browser


def post_form(
    browser: Browser, execution: Execution, *, ids: dict[str, list[str]] | None = None, **sent: Any
) -> str:
    """Post the form of the first step; return the page that follows."""
    step = execution.steps.get(node_id="form").cuid
    fields = {name if name == "_draft" else f"{step}-{name}": value for name, value in sent.items()}
    for name, values in (ids or {}).items():
        fields[f"{step}-{name}"] = [*values, *([sent[name]] if name in sent else [])]
    url = reverse("admin:executions_execution_submit", args=[execution.pk, step])
    return browser.post(url, fields, follow=True).content.decode()


@pytest.mark.both_databases
def test_valid_form_with_files_is_submitted(execution: Execution, ada: Any) -> None:
    browser = log_in_browser(ada)
    page = browser.get(own(execution)).content.decode()
    assert 'enctype="multipart/form-data"' in page and 'accept=".pdf"' in page
    page = post_form(browser, execution, report=a_file(), more=[a_file("b.txt"), a_file("c.txt")])
    assert "was submitted" in page
    assert [row.name for row in FormFile.objects.exclude(attached_at=None)] == [
        *("report.pdf", "b.txt", "c.txt")
    ]
    assert 'id="files"' in page and page.count("/file/") == 3 and "Not submitted" not in page


def test_uploaded_file_is_offered_again_when_another_answer_is_invalid(
    execution: Execution, ada: Any
) -> None:
    browser = log_in_browser(ada)
    page = post_form(browser, execution, more=[a_file("b.txt")])
    row = FormFile.objects.get()
    assert "This field is required" in page
    assert f'value="{row.cuid}" checked' in page and "Use b.txt" in page
    page = post_form(browser, execution, report=a_file(), ids={"more": [row.cuid]})
    assert "was submitted" in page
    execution.refresh_from_db()
    assert [one["id"] for one in execution.variables["more"]] == [row.cuid]


def test_file_with_wrong_ending_is_an_error_of_its_field(execution: Execution, ada: Any) -> None:
    page = post_form(log_in_browser(ada), execution, report=a_file("x.exe"), more=[a_file("b.txt")])
    assert "x.exe: The name must end with .pdf." in page and "Use b.txt" in page
    assert execution.steps.get(node_id="form").state == "open"


def test_empty_inputs_of_a_browser_do_not_count_as_files(execution: Execution, ada: Any) -> None:
    one, browser = uploaded(execution, ada), log_in_browser(ada)
    page = post_form(browser, execution, ids={"report": [one, ""], "more": [""]})
    assert "was submitted" in page


def test_too_large_request_is_explained_on_a_page(
    execution: Execution, ada: Any, settings: Any
) -> None:
    settings.FILE_MAX_BYTES = settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    page = post_form(log_in_browser(ada), execution, report=a_file())
    assert "more than 10 bytes" in page and "Go back" in page


def test_draft_keeps_uploaded_files(execution: Execution, ada: Any) -> None:
    browser = log_in_browser(ada)
    post_form(browser, execution, report=a_file(), _draft="1")
    row = FormFile.objects.get()
    assert FormDraft.objects.get().data["report"] == [row.cuid]
    for url in (own(execution), reverse("admin:executions_execution_inbox")):
        assert f'value="{row.cuid}" checked' in browser.get(url).content.decode()
    other = log_in_browser(user_in("participant", username="eve", is_staff=True))
    assert row.cuid not in other.get(own(execution)).content.decode()


def test_new_file_replaces_the_chosen_one(execution: Execution, ada: Any) -> None:
    before, browser = uploaded(execution, ada), log_in_browser(ada)
    post_form(browser, execution, report=a_file("new.pdf"), ids={"report": [before]})
    assert FormFile.objects.get(attached_at__isnull=False).name == "new.pdf"


def test_file_is_downloaded_by_readers(execution: Execution, ada: Any) -> None:
    row = FormFile.objects.get(cuid=uploaded(execution, ada))
    url = reverse("admin:executions_execution_file", args=[execution.pk, row.cuid])
    reader = log_in_browser(user_in("viewer", is_staff=True))
    assert reader.get(url).status_code == 404
    submit(execution, ada, report=row.cuid)
    answer = reader.get(url)
    assert content_of(answer) == CONTENT
    assert answer["Content-Disposition"] == 'attachment; filename="a.pdf"'
    assert "sandbox" in answer["Content-Security-Policy"]
    default_storage.delete(row.key)
    assert "missing in the storage" in reader.get(url, follow=True).content.decode()
