"""Workflows as files: written so that people can review them, read back strictly, brought in
all at once or not at all.
"""

from workflows.services.files.bringing import NotBroughtIn, bring_in
from workflows.services.files.layout import (
    FORMAT,
    FileProblem,
    InvalidFile,
    WorkflowFile,
    line_of,
)
from workflows.services.files.matching import CUID, TITLE, WAYS
from workflows.services.files.plans import CHANGED, CREATED, UNCHANGED, Item, Plan
from workflows.services.files.reading import read
from workflows.services.files.texts import FORMATS, JSON, YAML
from workflows.services.files.writing import export

__all__ = [
    "CHANGED",
    "CREATED",
    "CUID",
    "FORMAT",
    "FORMATS",
    "JSON",
    "TITLE",
    "UNCHANGED",
    "WAYS",
    "YAML",
    "FileProblem",
    "InvalidFile",
    "Item",
    "NotBroughtIn",
    "Plan",
    "WorkflowFile",
    "bring_in",
    "export",
    "line_of",
    "read",
]
