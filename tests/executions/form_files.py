"""Executions whose form takes files, and their files."""

from __future__ import annotations

from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from executions import services
from executions.models import Execution
from tests.executions.assignees import log_in, start
from tests.factories import WorkflowFactory, form, save_line

CONTENT = b"%PDF-1.7 <script>alert(1)</script>"
FIELDS: tuple[dict[str, Any], ...] = (
    {"name": "report", "type": "file", "required": True, "accept": [".pdf"], "max_size": 100},
    {"name": "more", "type": "file", "multiple": True, "scope": "execution"},
)


def url_of(execution: Execution, *more: str) -> str:
    return "/".join(["executions", execution.cuid, "files", *more, ""])


def a_file(name: str = "report.pdf", content: bytes = CONTENT) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, "application/pdf")


def send(execution: Execution, user: Any, field: str = "report", **more: Any) -> Any:
    body = {"file": a_file(), "field": field, "node": "form", **more}
    return log_in(user).post(url_of(execution), body, format="multipart")


def uploaded(execution: Execution, user: Any, field: str = "report", name: str = "a.pdf") -> str:
    sent = services.Upload(execution, a_file(name), field, user, node="form")
    return services.upload(sent).cuid


def submit(execution: Execution, user: Any, **data: Any) -> Any:
    return log_in(user).post(f"executions/{execution.cuid}/submit/", {"node": "form", "data": data})


def content_of(response: Any) -> bytes:
    return b"".join(response.streaming_content)


def start_with_files() -> Execution:
    """Start an execution with two forms that take files."""
    workflow = WorkflowFactory()
    save_line(workflow, form("form", *FIELDS), form("after", *FIELDS))
    return start(workflow)
