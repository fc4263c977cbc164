"""Responses with the content of files, which no browser displays."""

from __future__ import annotations

from django.http import FileResponse

from executions.models import FormFile
from executions.services.stored_objects import open_object

HEADERS = {
    # Neither the name nor the declared media type says reliably what the content is.
    "Content-Type": "application/octet-stream",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-cache",
}


def download(file: FormFile) -> FileResponse:
    """Return the content of a file as an attachment. The caller checks who may read it.

    Raises:
        FileMissing, StorageUnavailable: as ``open_object``.
    """
    response = FileResponse(open_object(file), as_attachment=True, filename=file.name)
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers["Content-Length"] = str(file.size)
    response.headers["ETag"] = f'"{file.sha256}"'
    return response
