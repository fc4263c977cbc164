"""Files as answers of forms: finding uploaded files by their ids, and attaching them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from executions.engine.form_fields import file_fields
from executions.models import FormFile
from workflows.db import locks
from workflows.db.json_values import storage_problem
from workflows.graph import Node

_REFERENCE = {"id", "name", "size", "sha256"}


def file_names(value: object) -> list[str]:
    """Return the names of the files if a value is a reference or a list of them; else nothing."""
    rows = value if isinstance(value, list) else [value]
    if not all(isinstance(row, dict) and row.keys() == _REFERENCE for row in rows):
        return []
    return [str(row["name"]) for row in rows]


def find_files(step: str, ids: Sequence[str], by: Any) -> dict[str, str]:
    """Return the fields of the files that can be attached at a step, by their ids.

    Args:
        step: the cuid of the step.
        ids: the ids of files.
        by: the account that submits; None may use the files of every account.
    """
    rows = FormFile.objects.filter(step=step, attached_at=None)
    rows = rows.filter(cuid__in=[one for one in ids if storage_problem(one) is None])
    if by is not None:
        rows = rows.filter(uploaded_by=by)
    return dict(rows.values_list("cuid", "field"))


def attach_files(node: Node, files: Mapping[str, Sequence[str]], now: datetime) -> dict[str, Any]:
    """Mark files as submitted, and return the answers with their references.

    Args:
        node: the node of the form.
        files: the ids of the files by the name of their field.
        now: the time of the submit.

    Raises:
        locks.TryAgain: a file was deleted since ``find_files``.
    """
    rows = {
        row.cuid: row
        for row in FormFile.objects.filter(cuid__in=[one for ids in files.values() for one in ids])
    }
    attached = FormFile.objects.filter(cuid__in=rows, attached_at=None).update(attached_at=now)
    if attached < sum(map(len, files.values())):
        raise locks.TryAgain
    fields, answers = file_fields(node.data), {}
    for name, ids in files.items():
        references = [rows[one].reference for one in ids]
        answers[name] = references if fields[name].get("multiple") else references[0]
    return answers
